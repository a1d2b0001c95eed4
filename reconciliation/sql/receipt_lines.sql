-- What the postings of a clearing date settled, per receivable; from the entries, signed.
SELECT
    $2::integer, payment_id, kind, bank, clearing_date, channel, settle_method, customer_no, receivable_id,
    billing_month, charge_kind, org_code, principal_fen, penalty_fen
FROM published_receipt_line
WHERE clearing_date = $1
ORDER BY bank, payment_id, receivable_id
