-- The history of receivables, from the entries, in the order of booking. LATERAL with LIMIT: by index, whatever the
-- planner believes about the tables' sizes.
SELECT
    entry.receivable_id,
    found.paid_date,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0)::bigint AS principal_fen,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0)::bigint AS penalty_fen
FROM entry
CROSS JOIN LATERAL (
    SELECT
        payment.payment_id,
        payment.paid_date,
        payment.recording_no
    FROM payment
    WHERE payment.payment_id = entry.payment_id
    LIMIT 1
) AS found
WHERE entry.receivable_id = ANY($1::text[])
GROUP BY entry.receivable_id, found.payment_id, found.paid_date, found.recording_no
ORDER BY entry.receivable_id, found.recording_no;
