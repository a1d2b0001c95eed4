SELECT
    'payment ' || undone.original_payment_id AS place,
    'is undone by payments ' || undone.payment_ids AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        payment.original_payment_id,
        string_agg(payment.payment_id::text, ', ' ORDER BY payment.payment_id) AS payment_ids
    FROM payment
    WHERE payment.original_payment_id IS NOT NULL AND payment.kind <> 'PREPAYMENT_WITHDRAWN'
    GROUP BY payment.original_payment_id
    HAVING count(*) > 1
) AS undone
ORDER BY undone.original_payment_id
LIMIT $1::bigint;
