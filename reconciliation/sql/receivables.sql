-- Bills of some customers, and some named bills, as at the end of a day: received before it, and up to its end.
SELECT
    bill.receivable_id, bill.customer_no, bill.billing_month, bill.principal_fen,
    coalesce(sum(line.principal_fen) FILTER (WHERE line.clearing_date < $1), 0)::bigint,
    coalesce(sum(line.principal_fen) FILTER (WHERE line.clearing_date <= $1), 0)::bigint
FROM published_receivable AS bill
LEFT JOIN published_receipt_line AS line ON line.receivable_id = bill.receivable_id
WHERE bill.customer_no = ANY($2::text[]) OR bill.receivable_id = ANY($3::text[])
GROUP BY bill.receivable_id, bill.customer_no, bill.billing_month, bill.principal_fen
ORDER BY bill.receivable_id
