-- Approved operations that move money name their posting; refusals, fences and reversals that found nothing name none.
SELECT
    pg_temp.key_name(told.bank, told.kind, told.trace_date, told.trace_no) AS place,
    CASE
        WHEN NOT told.books THEN format('books nothing, and names payment %s', told.payment_id)
        WHEN told.payment_id IS NULL THEN 'is approved and names no payment'
        ELSE format('is approved as payment %s, which is not here', told.payment_id)
    END AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        operation.bank,
        operation.kind,
        operation.trace_date,
        operation.trace_no,
        operation.payment_id,
        operation.kind IN (
            'PAYMENT', 'SAME_DAY_CANCEL', 'REVERSAL', 'PREPAYMENT_APPLIED', 'PREPAYMENT_WITHDRAWN'
        )
        AND NOT operation.fence
        AND operation.outcome ->> 'result' = 'approved'
        AND operation.outcome #>> '{detail,result}' IS DISTINCT FROM 'NOTHING_TO_UNDO' AS books
    FROM operation
) AS told
LEFT JOIN payment ON payment.payment_id = told.payment_id
WHERE CASE WHEN told.books THEN payment.payment_id IS NULL ELSE told.payment_id IS NOT NULL END
ORDER BY told.bank, told.trace_date, told.trace_no
LIMIT $1::bigint;
