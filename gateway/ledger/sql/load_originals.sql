-- Payments named by their trace ($1 banks, $2 dates, $3 numbers) or by our reference number ($4 banks, $5 numbers),
-- and what undid them.
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
    payment.trace_id,
    undoing.payment_id AS undone_by
FROM (
    SELECT by_key.payment_id
    FROM unnest($1::text[], $2::date[], $3::text[]) AS wanted (bank, trace_date, trace_no)
    JOIN payment AS by_key
        ON by_key.bank = wanted.bank
        AND by_key.kind = 'PAYMENT'
        AND by_key.trace_date = wanted.trace_date
        AND by_key.trace_no = wanted.trace_no
    UNION
    SELECT by_reference.payment_id
    FROM unnest($4::text[], $5::text[]) AS wanted (bank, reference_no)
    JOIN payment AS by_reference
        ON by_reference.reference_no = wanted.reference_no
        AND by_reference.bank = wanted.bank
) AS original
JOIN payment ON payment.payment_id = original.payment_id
LEFT JOIN payment AS undoing ON undoing.original_payment_id = payment.payment_id;
