-- Partitions can't see each other, so a key that was used for customers of two of them shows here first. Signing on and
-- off stands in every partition on purpose.
SELECT
    pg_temp.key_name(used.bank, used.kind, used.trace_date, used.trace_no) AS place,
    format('%s %s with this key, in partitions %s and %s', used.times, used.what, used.lowest, used.highest) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        'operations' AS what,
        every_operation.bank,
        every_operation.kind,
        every_operation.trace_date,
        every_operation.trace_no,
        count(*) AS times,
        min(every_operation.partition) AS lowest,
        max(every_operation.partition) AS highest
    FROM every_operation
    WHERE every_operation.kind NOT IN ('SIGN_ON', 'SIGN_OFF')
    GROUP BY every_operation.bank, every_operation.kind, every_operation.trace_date, every_operation.trace_no
    HAVING count(*) > 1
    UNION ALL
    SELECT
        'payments',
        every_payment.bank,
        every_payment.kind,
        every_payment.trace_date,
        every_payment.trace_no,
        count(*),
        min(every_payment.partition),
        max(every_payment.partition)
    FROM every_payment
    GROUP BY every_payment.bank, every_payment.kind, every_payment.trace_date, every_payment.trace_no
    HAVING count(*) > 1
) AS used
ORDER BY used.bank, used.trace_date, used.trace_no, used.what
LIMIT $1::bigint;
