SELECT
    format('entry %s of payment %s', entry.line_no, entry.payment_id) AS place,
    format('%s %s fen, and no such payment', entry.account, entry.amount_fen) AS finding,
    count(*) OVER () AS offences
FROM entry
WHERE NOT EXISTS (SELECT FROM payment WHERE payment.payment_id = entry.payment_id)
ORDER BY entry.payment_id, entry.line_no
LIMIT $1::bigint;
