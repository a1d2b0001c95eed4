-- What the log does not tell (NULL) is not compared.
SELECT
    pg_temp.key_name(acknowledged.bank, acknowledged.kind, acknowledged.trace_date, acknowledged.trace_no) AS place,
    format(
        'acknowledged (%s): %s %s, reference %s, clearing date %s; booked: %s %s, reference %s, clearing date %s',
        acknowledged.source, acknowledged.amount_minor, acknowledged.currency,
        coalesce(acknowledged.reference_no, 'not told'), coalesce(acknowledged.clearing_date::text, 'not told'),
        every_payment.amount_fen, every_payment.currency, every_payment.reference_no, every_payment.clearing_date
    ) AS finding,
    count(*) OVER () AS offences
FROM acknowledged
JOIN every_payment
    ON every_payment.bank = acknowledged.bank
    AND every_payment.operation_kind = acknowledged.kind
    AND every_payment.trace_date = acknowledged.trace_date
    AND every_payment.trace_no = acknowledged.trace_no
WHERE acknowledged.outcome_class = 'success'
    AND (
        every_payment.amount_fen <> acknowledged.amount_minor
        OR every_payment.currency <> acknowledged.currency
        OR every_payment.reference_no <> acknowledged.reference_no
        OR every_payment.clearing_date <> acknowledged.clearing_date
    )
ORDER BY acknowledged.bank, acknowledged.trace_date, acknowledged.trace_no
LIMIT $1::bigint;
