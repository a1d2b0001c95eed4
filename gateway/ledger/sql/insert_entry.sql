INSERT INTO entry (
    payment_id, line_no, account, amount_fen, bank, channel, clearing_date, settles_date, receivable_id, billing_month,
    charge_kind, org_code, currency
)
SELECT
    new.payment_id, new.line_no, new.account, new.amount_fen, new.bank, new.channel, new.clearing_date,
    new.clearing_date, new.receivable_id, new.billing_month, new.charge_kind, new.org_code, $2::text
FROM unnest($1::new_entry[]) AS new;
