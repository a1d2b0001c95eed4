-- Payments and deposits named by their trace ($1 banks, $2 dates, $3 numbers) or by our reference number ($4 banks, $5 numbers),
-- and what undid them. LATERAL with LIMIT: by index, whatever the planner believes about the table's size.
SELECT
    found.payment_id,
    found.kind,
    found.bank,
    found.trace_date,
    found.trace_no,
    found.customer_no,
    found.org_code,
    found.amount_fen,
    found.channel,
    found.settle_method,
    found.outlet,
    found.operator,
    found.paid_at,
    found.paid_date,
    found.clearing_date,
    found.reference_no,
    found.original_payment_id,
    found.prepayment_opening_fen,
    found.prepayment_movement_fen,
    found.trace_id,
    undoing.payment_id AS undone_by
FROM (
    SELECT by_key.payment_id
    FROM unnest($1::text[], $2::date[], $3::text[]) AS wanted (bank, trace_date, trace_no)
    CROSS JOIN LATERAL (
        SELECT payment.payment_id
        FROM payment
        WHERE
            payment.bank = wanted.bank
            AND payment.kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT')
            AND payment.trace_date = wanted.trace_date
            AND payment.trace_no = wanted.trace_no
        LIMIT 1
    ) AS by_key
    UNION
    SELECT by_reference.payment_id
    FROM unnest($4::text[], $5::text[]) AS wanted (bank, reference_no)
    CROSS JOIN LATERAL (
        SELECT payment.payment_id
        FROM payment
        WHERE payment.reference_no = wanted.reference_no AND payment.bank = wanted.bank
        LIMIT 1
    ) AS by_reference
) AS original
CROSS JOIN LATERAL (
    SELECT
        payment.payment_id,
        payment.kind,
        payment.bank,
        payment.trace_date,
        payment.trace_no,
        payment.customer_no,
        payment.org_code,
        payment.amount_fen,
        payment.channel,
        payment.settle_method,
        payment.outlet,
        payment.operator,
        payment.paid_at,
        payment.paid_date,
        payment.clearing_date,
        payment.reference_no,
        payment.original_payment_id,
        payment.prepayment_opening_fen,
        payment.prepayment_movement_fen,
        payment.trace_id
    FROM payment
    WHERE payment.payment_id = original.payment_id
    LIMIT 1
) AS found
LEFT JOIN LATERAL (
    SELECT payment.payment_id
    FROM payment
    WHERE payment.original_payment_id = original.payment_id AND payment.kind <> 'PREPAYMENT_WITHDRAWN'
    LIMIT 1
) AS undoing ON true;
