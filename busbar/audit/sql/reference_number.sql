SELECT
    'payment ' || payment.payment_id AS place,
    format(
        'its reference number is %s; two digits of the partition and ten of the payment id were to be expected',
        payment.reference_no
    ) AS finding,
    count(*) OVER () AS offences
FROM payment
WHERE payment.reference_no <> right(current_schema(), 2) || lpad(payment.payment_id::text, 10, '0')
ORDER BY payment.payment_id
LIMIT $1::bigint;
