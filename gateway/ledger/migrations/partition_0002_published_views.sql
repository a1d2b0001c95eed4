-- What other rooms may build on: names and columns of these views are a contract; the tables behind them are not.

CREATE VIEW published_payment AS
SELECT
    payment.payment_id,
    payment.kind,
    payment.bank,
    payment.trace_date,
    payment.trace_no,
    payment.customer_no,
    payment.org_code,
    payment.amount_fen,
    CASE payment.kind WHEN 'PAYMENT' THEN payment.amount_fen ELSE -payment.amount_fen END AS signed_fen,
    payment.currency,
    payment.channel,
    payment.settle_method,
    payment.outlet,
    payment.operator,
    payment.paid_at,
    payment.paid_date,
    payment.recorded_at,
    payment.clearing_date,
    payment.settles_date,
    payment.reference_no,
    payment.original_payment_id,
    original.trace_date AS original_trace_date,
    original.trace_no AS original_trace_no,
    original.clearing_date AS original_clearing_date,
    payment.prepayment_opening_fen,
    payment.prepayment_movement_fen,
    payment.prepayment_closing_fen,
    payment.trace_id
FROM payment
LEFT JOIN payment AS original ON original.payment_id = payment.original_payment_id;

-- Derived from the entries, not from the running sums: a receivable's entry falls when money comes in.
CREATE VIEW published_receipt_line AS
SELECT
    payment.payment_id,
    payment.kind,
    payment.bank,
    payment.clearing_date,
    payment.channel,
    payment.settle_method,
    payment.customer_no,
    entry.receivable_id,
    entry.billing_month,
    entry.charge_kind,
    entry.org_code,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0)::bigint AS principal_fen,
    coalesce(-sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0)::bigint AS penalty_fen
FROM entry
JOIN payment ON payment.payment_id = entry.payment_id
WHERE entry.receivable_id IS NOT NULL
GROUP BY
    payment.payment_id, payment.kind, payment.bank, payment.clearing_date, payment.channel, payment.settle_method,
    payment.customer_no, entry.receivable_id, entry.billing_month, entry.charge_kind, entry.org_code;

CREATE VIEW published_entry AS
SELECT
    entry.payment_id,
    entry.line_no,
    entry.account,
    entry.amount_fen,
    entry.currency,
    entry.bank,
    entry.channel,
    entry.clearing_date,
    entry.settles_date,
    entry.receivable_id,
    entry.billing_month
FROM entry;

CREATE VIEW published_receivable AS
SELECT
    receivable.receivable_id,
    receivable.customer_no,
    receivable.billing_month,
    receivable.principal_fen,
    receivable.received_principal_fen,
    receivable.received_penalty_fen,
    receivable.locked
FROM receivable;

CREATE VIEW published_customer AS
SELECT
    customer.customer_no,
    customer.org_code,
    customer.customer_class,
    customer.usage_category,
    customer.prepayment_balance_fen
FROM customer;

CREATE VIEW published_clearing_day AS
SELECT
    clearing_day.clearing_date,
    clearing_day.opened_at
FROM clearing_day;

GRANT SELECT ON
    published_payment, published_receipt_line, published_entry, published_receivable, published_customer,
    published_clearing_day
TO busbar_night;
