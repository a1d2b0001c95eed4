SELECT
    'reference number ' || used.reference_no AS place,
    'stands on payments ' || used.payments AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_payment.reference_no,
        string_agg(
            format('%s of partition %s', every_payment.payment_id, every_payment.partition), ', '
            ORDER BY every_payment.partition, every_payment.payment_id
        ) AS payments
    FROM every_payment
    GROUP BY every_payment.reference_no
    HAVING count(*) > 1
) AS used
ORDER BY used.reference_no
LIMIT $1::bigint;
