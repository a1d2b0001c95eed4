-- Prepayment has kinds of posting of its own: a deposit, and what moves inside the ledger (a balance applied to bills, and
-- taken back from them because its money was reversed). The latter have no bank.
ALTER TABLE payment
    DROP CONSTRAINT payment_kind_valid,
    DROP CONSTRAINT payment_original_valid,
    ADD CONSTRAINT payment_kind_valid CHECK (kind IN (
        'PAYMENT', 'PREPAYMENT_DEPOSIT', 'SAME_DAY_CANCEL', 'REVERSAL', 'NEXT_DAY_REVERSAL', 'PREPAYMENT_APPLIED',
        'PREPAYMENT_WITHDRAWN'
    )),
    ADD CONSTRAINT payment_original_valid CHECK (
        (kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT', 'PREPAYMENT_APPLIED')) = (original_payment_id IS NULL)
        AND original_payment_id <> payment_id
    ),
    ADD CONSTRAINT payment_internal_has_no_bank CHECK (
        (kind IN ('PREPAYMENT_APPLIED', 'PREPAYMENT_WITHDRAWN')) = (bank = 'INTERNAL')
    );

-- A payment is undone once; what it drew of a balance may be taken back in parts.
DROP INDEX payment_undone_once;
CREATE UNIQUE INDEX payment_undone_once ON payment (original_payment_id)
WHERE original_payment_id IS NOT NULL AND kind <> 'PREPAYMENT_WITHDRAWN';
CREATE INDEX payment_withdrawals ON payment (original_payment_id) WHERE kind = 'PREPAYMENT_WITHDRAWN';
CREATE INDEX payment_drawing_prepayment ON payment (customer_no) WHERE prepayment_movement_fen < 0;

CREATE OR REPLACE VIEW published_payment AS
SELECT
    payment.payment_id,
    payment.kind,
    payment.bank,
    payment.trace_date,
    payment.trace_no,
    payment.customer_no,
    payment.org_code,
    payment.amount_fen,
    CASE
        WHEN payment.kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') THEN payment.amount_fen
        WHEN payment.kind IN ('PREPAYMENT_APPLIED', 'PREPAYMENT_WITHDRAWN') THEN 0
        ELSE -payment.amount_fen
    END AS signed_fen,
    payment.currency,
    payment.channel,
    payment.settle_method,
    payment.outlet,
    payment.operator,
    payment.paid_at,
    payment.paid_date,
    payment.recorded_at,
    payment.clearing_date,
    payment.settles_date,
    payment.reference_no,
    payment.original_payment_id,
    original.trace_date AS original_trace_date,
    original.trace_no AS original_trace_no,
    original.clearing_date AS original_clearing_date,
    payment.prepayment_opening_fen,
    payment.prepayment_movement_fen,
    payment.prepayment_closing_fen,
    payment.trace_id
FROM payment
LEFT JOIN payment AS original ON original.payment_id = payment.original_payment_id;

-- A deposit is in doubt like a payment, and under a payment's key; what was withdrawn from a payment has not undone it.
CREATE OR REPLACE VIEW published_unresolved AS
SELECT
    stands.unresolved_id,
    stands.bank,
    stands.kind,
    stands.trace_date,
    stands.trace_no,
    stands.about_trace_date,
    stands.about_trace_no,
    stands.customer_no,
    stands.amount_fen,
    stands.currency,
    stands.cause,
    stands.clearing_date,
    stands.opened_at,
    extract(EPOCH FROM coalesce(stands.closed_at, now()) - stands.opened_at)::bigint AS age_seconds,
    stands.trace_id,
    stands.closed_at IS NULL AS is_open,
    stands.our_side,
    stands.bank_side,
    stands.absent_days,
    stands.closed_at,
    stands.closed_by,
    stands.closed_detail,
    CASE
        WHEN stands.closed_by IN ('FILE_BREAK', 'ABSENT_BREAK') THEN 'TREAT_BREAK'
        WHEN stands.closed_at IS NOT NULL THEN 'NOTHING'
        WHEN stands.absent_days IS NOT NULL THEN 'ASK_BANK'
        ELSE 'WAIT_FOR_FILE'
    END AS next_action
FROM (
    SELECT
        unresolved.unresolved_id,
        unresolved.bank,
        unresolved.kind,
        unresolved.trace_date,
        unresolved.trace_no,
        unresolved.about_trace_date,
        unresolved.about_trace_no,
        unresolved.customer_no,
        unresolved.amount_fen,
        unresolved.currency,
        unresolved.cause,
        coalesce(posting.clearing_date, unresolved.clearing_date) AS clearing_date,
        unresolved.opened_at,
        unresolved.trace_id,
        CASE
            WHEN posting.is_undone THEN 'CANCELLED'
            WHEN posting.payment_id IS NOT NULL THEN 'BOOKED'
            WHEN record.fence THEN 'FENCED'
            WHEN record.outcome ->> 'result' = 'declined' THEN 'REFUSED'
            WHEN record.outcome IS NOT NULL THEN 'NOTHING_TO_UNDO'
            ELSE 'NOT_BOOKED'
        END AS our_side,
        coalesce(heard.event, 'SILENT') AS bank_side,
        absent.absent_days,
        closed.happened_at AS closed_at,
        closed.reason AS closed_by,
        closed.detail AS closed_detail
    FROM unresolved
    LEFT JOIN LATERAL (
        SELECT
            payment.payment_id,
            payment.clearing_date,
            EXISTS (
                SELECT
                FROM payment AS undo
                WHERE undo.original_payment_id = payment.payment_id AND undo.kind <> 'PREPAYMENT_WITHDRAWN'
            ) AS is_undone
        FROM payment
        WHERE
            payment.bank = unresolved.bank
            AND payment.trace_date = unresolved.trace_date
            AND payment.trace_no = unresolved.trace_no
            AND payment.kind IN (
                unresolved.kind,
                CASE unresolved.kind WHEN 'REVERSAL' THEN 'NEXT_DAY_REVERSAL' WHEN 'PAYMENT' THEN 'PREPAYMENT_DEPOSIT' END
            )
        LIMIT 1
    ) AS posting ON true
    LEFT JOIN operation AS record
        ON
            record.bank = unresolved.bank
            AND record.kind = unresolved.kind
            AND record.trace_date = unresolved.trace_date
            AND record.trace_no = unresolved.trace_no
    LEFT JOIN LATERAL (
        SELECT unresolved_event.event
        FROM unresolved_event
        WHERE
            unresolved_event.unresolved_id = unresolved.unresolved_id
            AND unresolved_event.event NOT IN ('IN_DOUBT_AGAIN', 'CLOSED')
        ORDER BY unresolved_event.event_no DESC
        LIMIT 1
    ) AS heard ON true
    LEFT JOIN LATERAL (
        SELECT max(unresolved_event.age_days) AS absent_days
        FROM unresolved_event
        WHERE
            unresolved_event.unresolved_id = unresolved.unresolved_id
            AND unresolved_event.event = 'ABSENT_FROM_FILE'
    ) AS absent ON true
    LEFT JOIN unresolved_event AS closed
        ON closed.unresolved_id = unresolved.unresolved_id AND closed.event = 'CLOSED'
) AS stands;
