-- What the bank was answered is what stands in the books.
SELECT
    format(
        'payment %s, %s',
        payment.payment_id, pg_temp.key_name(operation.bank, operation.kind, operation.trace_date, operation.trace_no)
    ) AS place,
    format(
        'answered: %s %s, reference %s, clearing date %s; booked: %s, %s %s, reference %s, clearing date %s%s',
        operation.outcome #>> '{amount,0}', operation.outcome #>> '{amount,1}', operation.outcome ->> 'reference_no',
        operation.outcome ->> 'clearing_date',
        pg_temp.key_name(payment.bank, payment.kind, payment.trace_date, payment.trace_no),
        payment.amount_fen, payment.currency, payment.reference_no, payment.clearing_date,
        CASE WHEN operation.customer_no = payment.customer_no THEN '' ELSE ', for another customer' END
    ) AS finding,
    count(*) OVER () AS offences
FROM operation
JOIN payment ON payment.payment_id = operation.payment_id
WHERE (operation.bank, operation.kind, operation.trace_date, operation.trace_no, operation.customer_no)
    IS DISTINCT FROM (
        payment.bank, pg_temp.operation_kind(payment.kind), payment.trace_date, payment.trace_no, payment.customer_no
    )
    OR (operation.clearing_date, operation.recorded_at) IS DISTINCT FROM (payment.clearing_date, payment.recorded_at)
    OR (operation.outcome -> 'amount')
    IS DISTINCT FROM jsonb_build_array(payment.amount_fen, payment.currency)
    OR (operation.outcome ->> 'reference_no') IS DISTINCT FROM payment.reference_no
    OR (operation.outcome ->> 'clearing_date') IS DISTINCT FROM payment.clearing_date::text
ORDER BY payment.payment_id
LIMIT $1::bigint;
