-- An undo may name its payment by our reference number alone ($7): then the payment says its trace.
INSERT INTO unresolved (
    bank, kind, trace_date, trace_no, about_trace_date, about_trace_no, customer_no, amount_fen, currency, cause,
    clearing_date, opened_at, trace_id
)
SELECT
    $1, $2, $3, $4,
    coalesce($5::date, original.trace_date),
    coalesce($6::text, original.trace_no),
    $8, $9, $10, $11,
    (SELECT max(clearing_day.clearing_date) FROM clearing_day),
    $12, $13
FROM (VALUES ($7::text)) AS named (reference_no)
LEFT JOIN payment AS original ON original.reference_no = named.reference_no AND original.bank = $1;
