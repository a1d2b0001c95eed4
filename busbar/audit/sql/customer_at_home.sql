-- The home is the hash of the payment number, and the payment number is the directory's, else the customer's own.
SELECT
    'customer ' || pg_temp.masked(customer.customer_no) AS place,
    CASE
        WHEN customer.payment_no <> coalesce(listed.payment_no, customer.customer_no)
            THEN 'has another payment number than the directory of payment numbers gives'
        ELSE format('lives here, its home is ledger_%s', lpad(home.partition::text, 2, '0'))
    END AS finding,
    count(*) OVER () AS offences
FROM customer
CROSS JOIN busbar.installation
CROSS JOIN LATERAL (SELECT pg_temp.home_of(customer.payment_no, installation.partitions) AS partition) AS home
LEFT JOIN busbar.payment_number AS listed ON listed.customer_no = customer.customer_no
WHERE home.partition <> right(current_schema(), 2)::bigint
    OR customer.payment_no <> coalesce(listed.payment_no, customer.customer_no)
ORDER BY customer.customer_no
LIMIT $1::bigint;
