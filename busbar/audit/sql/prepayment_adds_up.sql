SELECT
    'payment ' || payment.payment_id AS place,
    format(
        'opening %s, movement %s, closing %s fen; its prepayment entries move %s',
        payment.prepayment_opening_fen, payment.prepayment_movement_fen, payment.prepayment_closing_fen,
        coalesce(moved.movement_fen, 0)
    ) AS finding,
    count(*) OVER () AS offences
FROM payment
LEFT JOIN (
    SELECT entry.payment_id, -sum(entry.amount_fen) AS movement_fen
    FROM entry
    WHERE entry.account = 'PREPAYMENT'
    GROUP BY entry.payment_id
) AS moved ON moved.payment_id = payment.payment_id
WHERE payment.prepayment_opening_fen + payment.prepayment_movement_fen <> payment.prepayment_closing_fen
    OR payment.prepayment_opening_fen < 0
    OR payment.prepayment_closing_fen < 0
    OR payment.prepayment_movement_fen <> coalesce(moved.movement_fen, 0)
ORDER BY payment.payment_id
LIMIT $1::bigint;
