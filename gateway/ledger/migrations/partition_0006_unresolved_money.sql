-- Unresolved money: a payment or an undo whose end one side may not know. A row when it happens, an event for all that
-- is heard of it afterwards, "closed" last and once; both are only ever inserted, and what stands is a view over them.

-- about_*: the payment in question, the operation itself where that is the payment. Null where an undo names its payment
-- by a reference number that we never gave. clearing_date: the day on which we were when the doubt arose.
CREATE TABLE unresolved (
    unresolved_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    bank text NOT NULL,
    kind text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    about_trace_date date,
    about_trace_no text,
    customer_no text NOT NULL,
    amount_fen bigint NOT NULL,
    currency text NOT NULL,
    cause text NOT NULL,
    clearing_date date NOT NULL,
    opened_at timestamptz NOT NULL,
    trace_id text NOT NULL,
    CONSTRAINT unresolved_key PRIMARY KEY (unresolved_id),
    CONSTRAINT unresolved_operation_valid CHECK (bank <> '' AND length(trace_no) BETWEEN 1 AND 32),
    CONSTRAINT unresolved_kind_valid CHECK (kind IN ('PAYMENT', 'SAME_DAY_CANCEL', 'REVERSAL', 'PREPAYMENT_DEPOSIT')),
    CONSTRAINT unresolved_about_whole CHECK (num_nonnulls(about_trace_date, about_trace_no) IN (0, 2)),
    CONSTRAINT unresolved_amount_positive CHECK (amount_fen > 0),
    CONSTRAINT unresolved_currency_valid CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT unresolved_cause_valid CHECK (
        cause IN ('NO_ANSWER_IN_TIME', 'IN_PROGRESS', 'REPLY_NOT_DELIVERED', 'COMMIT_UNKNOWN')
    )
);
CREATE INDEX unresolved_by_operation ON unresolved (bank, trace_date, trace_no);
CREATE INDEX unresolved_by_payment ON unresolved (bank, about_trace_date, about_trace_no);

-- reason: for IN_DOUBT_AGAIN a cause, for CLOSED the way in which it was closed. file_date and age_days: of the settlement
-- file that an event is about, the latter n of T+n. Absence closes nothing before the T+2 file: the database says so too.
CREATE TABLE unresolved_event (
    event_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    unresolved_id bigint NOT NULL,
    event text NOT NULL,
    reason text NOT NULL DEFAULT '',
    file_date date,
    age_days integer,
    detail text NOT NULL DEFAULT '',
    happened_at timestamptz NOT NULL,
    trace_id text NOT NULL DEFAULT '',
    CONSTRAINT unresolved_event_key PRIMARY KEY (event_no),
    CONSTRAINT unresolved_event_of_unresolved FOREIGN KEY (unresolved_id) REFERENCES unresolved (unresolved_id),
    CONSTRAINT unresolved_event_valid CHECK (
        event IN (
            'IN_DOUBT_AGAIN', 'RESEND_ANSWERED', 'STATUS_ENQUIRY_ANSWERED', 'REVERSAL_ANSWERED', 'CANCEL_ANSWERED',
            'LATE_REPLY_DELIVERED', 'FOUND_IN_FILE', 'ABSENT_FROM_FILE', 'CLOSED'
        )
    ),
    CONSTRAINT unresolved_event_reason_valid CHECK (
        CASE event
            WHEN 'IN_DOUBT_AGAIN' THEN reason IN ('NO_ANSWER_IN_TIME', 'IN_PROGRESS', 'REPLY_NOT_DELIVERED', 'COMMIT_UNKNOWN')
            WHEN 'CLOSED' THEN reason IN (
                'RESEND', 'STATUS_ENQUIRY', 'REVERSAL', 'CANCEL', 'LATE_REPLY', 'SETTLEMENT_FILE', 'FILE_BREAK',
                'ABSENT_BREAK', 'ABSENT_BOTH'
            )
            ELSE reason = ''
        END
    ),
    CONSTRAINT unresolved_event_file_valid CHECK (
        event NOT IN ('FOUND_IN_FILE', 'ABSENT_FROM_FILE') OR num_nonnulls(file_date, age_days) = 2
    ),
    CONSTRAINT unresolved_event_absence_waits CHECK (
        reason NOT IN ('ABSENT_BREAK', 'ABSENT_BOTH') OR (file_date IS NOT NULL AND age_days IS NOT NULL AND age_days >= 2)
    )
);
CREATE INDEX unresolved_event_by_unresolved ON unresolved_event (unresolved_id, event_no DESC);
CREATE UNIQUE INDEX unresolved_closed_once ON unresolved_event (unresolved_id) WHERE event = 'CLOSED';
CREATE UNIQUE INDEX unresolved_event_of_file_once ON unresolved_event (unresolved_id, event, file_date)
WHERE event IN ('FOUND_IN_FILE', 'ABSENT_FROM_FILE');

-- our_side: what our books say of the operation now. bank_side: the last that was heard from the bank. clearing_date:
-- the day on which we booked it, else the day of the doubt. next_action: a code, for people in words elsewhere.
CREATE VIEW published_unresolved AS
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
            EXISTS (SELECT FROM payment AS undo WHERE undo.original_payment_id = payment.payment_id) AS is_undone
        FROM payment
        WHERE
            payment.bank = unresolved.bank
            AND payment.trace_date = unresolved.trace_date
            AND payment.trace_no = unresolved.trace_no
            AND payment.kind IN (unresolved.kind, CASE unresolved.kind WHEN 'REVERSAL' THEN 'NEXT_DAY_REVERSAL' END)
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

GRANT SELECT, INSERT ON unresolved, unresolved_event TO busbar_gateway;
GRANT SELECT ON published_unresolved TO busbar_gateway, busbar_night;
-- Columns, so that the night can't choose when an event stands: its number is the database's.
GRANT INSERT (unresolved_id, event, reason, file_date, age_days, detail, happened_at) ON unresolved_event TO busbar_night;
