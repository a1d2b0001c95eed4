SELECT
    'payment ' || payment.payment_id AS place,
    format('its customer %s does not live in this partition', pg_temp.masked(payment.customer_no)) AS finding,
    count(*) OVER () AS offences
FROM payment
WHERE NOT EXISTS (SELECT FROM customer WHERE customer.customer_no = payment.customer_no)
ORDER BY payment.payment_id
LIMIT $1::bigint;
