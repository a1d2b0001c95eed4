-- What the banks owe by our double entry: entries of the day, and those that settle on it.
SELECT
    $2::integer, entry.payment_id, payment.kind, entry.bank, entry.amount_fen, entry.clearing_date, entry.settles_date
FROM published_entry AS entry
JOIN published_payment AS payment ON payment.payment_id = entry.payment_id
WHERE entry.account = 'DUE_FROM_BANK'
    AND (entry.clearing_date = $1 OR entry.settles_date = $1)
    AND entry.clearing_date <= $1
ORDER BY entry.bank, entry.payment_id, entry.line_no
