-- Account by account and bill by bill, an undo, its original, and what was withdrawn from that before, leave nothing.
SELECT
    'payment ' || kept.undo_id AS place,
    format(
        'with its original %s it leaves %s fen on %s%s',
        kept.original_payment_id, kept.left_fen, kept.account, ' of bill ' || kept.receivable_id
    ) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        pair.undo_id, pair.original_payment_id, entry.account, entry.receivable_id, sum(entry.amount_fen) AS left_fen
    FROM (
        SELECT payment.payment_id AS undo_id, payment.original_payment_id, payment.payment_id AS member_id
        FROM payment
        WHERE payment.original_payment_id IS NOT NULL AND payment.kind <> 'PREPAYMENT_WITHDRAWN'
        UNION ALL
        SELECT payment.payment_id, payment.original_payment_id, payment.original_payment_id
        FROM payment
        WHERE payment.original_payment_id IS NOT NULL AND payment.kind <> 'PREPAYMENT_WITHDRAWN'
        UNION ALL
        SELECT payment.payment_id, payment.original_payment_id, withdrawal.payment_id
        FROM payment
        JOIN payment AS withdrawal
            ON withdrawal.original_payment_id = payment.original_payment_id
            AND withdrawal.kind = 'PREPAYMENT_WITHDRAWN'
        WHERE payment.kind <> 'PREPAYMENT_WITHDRAWN'
    ) AS pair
    JOIN entry ON entry.payment_id = pair.member_id
    GROUP BY pair.undo_id, pair.original_payment_id, entry.account, entry.receivable_id
    HAVING sum(entry.amount_fen) <> 0
) AS kept
ORDER BY kept.undo_id, kept.account, kept.receivable_id
LIMIT $1::bigint;
