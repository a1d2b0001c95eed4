-- The history of receivables, from the entries, in the order of booking.
SELECT
    entry.receivable_id,
    payment.paid_date,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0)::bigint AS principal_fen,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0)::bigint AS penalty_fen
FROM entry
JOIN payment ON payment.payment_id = entry.payment_id
WHERE entry.receivable_id = ANY($1::text[])
GROUP BY entry.receivable_id, payment.payment_id, payment.paid_date, payment.recording_no
ORDER BY entry.receivable_id, payment.recording_no;
