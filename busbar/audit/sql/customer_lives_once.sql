SELECT
    'customer ' || pg_temp.masked(living.customer_no) AS place,
    format('lives %s times, in partitions %s and %s', living.times, living.lowest, living.highest) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_customer.customer_no,
        count(*) AS times,
        min(every_customer.partition) AS lowest,
        max(every_customer.partition) AS highest
    FROM every_customer
    GROUP BY every_customer.customer_no
    HAVING count(*) > 1
) AS living
ORDER BY living.customer_no
LIMIT $1::bigint;
