SELECT
    'reference number ' || used.reference_no AS place,
    format('stands on %s payments, in partitions %s and %s', used.times, used.lowest, used.highest) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_payment.reference_no,
        count(*) AS times,
        min(every_payment.partition) AS lowest,
        max(every_payment.partition) AS highest
    FROM every_payment
    GROUP BY every_payment.reference_no
    HAVING count(*) > 1
) AS used
ORDER BY used.reference_no
LIMIT $1::bigint;
