SELECT
    pg_temp.key_name(told.bank, told.kind, told.trace_date, told.trace_no) AS place,
    format('acknowledged to the bank (%s), and %s times in the ledger', told.source, told.postings) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        success.bank,
        success.kind,
        success.trace_date,
        success.trace_no,
        success.source,
        count(every_payment.payment_id) AS postings
    FROM (
        SELECT
            acknowledged.bank,
            acknowledged.kind,
            acknowledged.trace_date,
            acknowledged.trace_no,
            min(acknowledged.source) AS source
        FROM acknowledged
        WHERE acknowledged.outcome_class = 'success'
        GROUP BY acknowledged.bank, acknowledged.kind, acknowledged.trace_date, acknowledged.trace_no
    ) AS success
    LEFT JOIN every_payment
        ON every_payment.bank = success.bank
        AND every_payment.operation_kind = success.kind
        AND every_payment.trace_date = success.trace_date
        AND every_payment.trace_no = success.trace_no
    GROUP BY success.bank, success.kind, success.trace_date, success.trace_no, success.source
    HAVING count(every_payment.payment_id) <> 1
) AS told
ORDER BY told.bank, told.trace_date, told.trace_no
LIMIT $1::bigint;
