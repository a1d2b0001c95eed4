SELECT
    'customer ' || pg_temp.masked(living.customer_no) AS place,
    'lives in partitions ' || living.partitions AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_customer.customer_no,
        string_agg(every_customer.partition::text, ', ' ORDER BY every_customer.partition) AS partitions
    FROM every_customer
    GROUP BY every_customer.customer_no
    HAVING count(*) > 1
) AS living
ORDER BY living.customer_no
LIMIT $1::bigint;
