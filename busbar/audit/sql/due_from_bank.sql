-- One entry on the bank's account a posting, of the posting's amount: a set of entries missing or written twice shows here.
-- What moves inside the ledger has none.
SELECT
    'payment ' || payment.payment_id AS place,
    CASE
        WHEN payment.bank = 'INTERNAL' THEN format('%s moves inside the ledger, and a bank owes by it', payment.kind)
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
WHERE CASE
    WHEN payment.bank = 'INTERNAL' THEN due.payment_id IS NOT NULL
    ELSE
        due.entries IS DISTINCT FROM 1
        OR due.amount_fen <> CASE
            WHEN payment.kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') THEN payment.amount_fen
            ELSE -payment.amount_fen
        END
END
ORDER BY payment.payment_id
LIMIT $1::bigint;
