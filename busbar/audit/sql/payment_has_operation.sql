SELECT
    format(
        'payment %s, %s',
        payment.payment_id, pg_temp.key_name(payment.bank, payment.kind, payment.trace_date, payment.trace_no)
    ) AS place,
    CASE
        WHEN approved.payment_id IS NULL THEN 'no approved operation names it'
        ELSE format('%s approved operations name it', approved.operations)
    END AS finding,
    count(*) OVER () AS offences
FROM payment
LEFT JOIN (
    SELECT operation.payment_id, count(*) AS operations
    FROM operation
    WHERE operation.payment_id IS NOT NULL AND operation.outcome ->> 'result' = 'approved'
    GROUP BY operation.payment_id
) AS approved ON approved.payment_id = payment.payment_id
WHERE approved.operations IS DISTINCT FROM 1
ORDER BY payment.payment_id
LIMIT $1::bigint;
