SELECT
    'customer ' || pg_temp.masked(customer.customer_no)
    || coalesce(' of payment ' || moved.last_payment_id, ' without a prepayment entry') AS place,
    format(
        'balance %s fen; the prepayment entries sum to %s', customer.prepayment_balance_fen, coalesce(moved.held_fen, 0)
    ) AS finding,
    count(*) OVER () AS offences
FROM customer
LEFT JOIN (
    SELECT payment.customer_no, -sum(entry.amount_fen) AS held_fen, max(payment.payment_id) AS last_payment_id
    FROM entry
    JOIN payment ON payment.payment_id = entry.payment_id
    WHERE entry.account = 'PREPAYMENT'
    GROUP BY payment.customer_no
) AS moved ON moved.customer_no = customer.customer_no
WHERE customer.prepayment_balance_fen <> coalesce(moved.held_fen, 0) OR customer.prepayment_balance_fen < 0
ORDER BY moved.last_payment_id, customer.customer_no
LIMIT $1::bigint;
