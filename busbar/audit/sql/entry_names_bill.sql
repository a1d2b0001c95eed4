-- Of the payer, and with the month and the kind of charge that the bill has.
SELECT
    format('entry %s of payment %s', entry.line_no, entry.payment_id) AS place,
    CASE
        WHEN receivable.receivable_id IS NULL THEN format('names bill %s, which is not here', entry.receivable_id)
        WHEN receivable.customer_no <> payment.customer_no
            THEN format('names bill %s of another customer', entry.receivable_id)
        ELSE format(
            'names bill %s as month %s, charge %s; the bill says %s, %s',
            entry.receivable_id, entry.billing_month, entry.charge_kind, receivable.billing_month, receivable.charge_kind
        )
    END AS finding,
    count(*) OVER () AS offences
FROM entry
JOIN payment ON payment.payment_id = entry.payment_id
LEFT JOIN receivable ON receivable.receivable_id = entry.receivable_id
WHERE entry.receivable_id IS NOT NULL
    AND (receivable.customer_no, receivable.billing_month, receivable.charge_kind)
    IS DISTINCT FROM (payment.customer_no, entry.billing_month, entry.charge_kind)
ORDER BY entry.payment_id, entry.line_no
LIMIT $1::bigint;
