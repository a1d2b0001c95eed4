-- What postings settled of each receivable, in the order of their lines.
SELECT
    entry.payment_id,
    entry.receivable_id,
    entry.billing_month,
    entry.charge_kind,
    entry.org_code,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0)::bigint AS principal_fen,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0)::bigint AS penalty_fen
FROM entry
WHERE entry.payment_id = ANY($1::bigint[]) AND entry.receivable_id IS NOT NULL
GROUP BY entry.payment_id, entry.receivable_id, entry.billing_month, entry.charge_kind, entry.org_code
ORDER BY entry.payment_id, min(entry.line_no);
