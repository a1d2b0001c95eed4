-- One entry on the bank's account a posting, of the posting's amount: a set of entries missing or written twice shows here.
SELECT
    'payment ' || payment.payment_id AS place,
    CASE
        WHEN due.payment_id IS NULL THEN 'has no entry of what the bank owes'
        ELSE format(
            '%s of %s fen has %s entries of what the bank owes, together %s',
            payment.kind, payment.amount_fen, due.entries, due.amount_fen
        )
    END AS finding,
    count(*) OVER () AS offences
FROM payment
LEFT JOIN (
    SELECT entry.payment_id, count(*) AS entries, sum(entry.amount_fen) AS amount_fen
    FROM entry
    WHERE entry.account = 'DUE_FROM_BANK'
    GROUP BY entry.payment_id
) AS due ON due.payment_id = payment.payment_id
WHERE due.entries IS DISTINCT FROM 1
    OR due.amount_fen <> CASE payment.kind WHEN 'PAYMENT' THEN payment.amount_fen ELSE -payment.amount_fen END
ORDER BY payment.payment_id
LIMIT $1::bigint;
