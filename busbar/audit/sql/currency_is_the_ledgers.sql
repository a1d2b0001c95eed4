SELECT
    foreign_money.place,
    format('is in %s, the ledger is kept in %s', foreign_money.currency, installation.currency) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT 'payment ' || payment.payment_id AS place, payment.payment_id, payment.currency
    FROM payment
    UNION ALL
    SELECT format('entry %s of payment %s', entry.line_no, entry.payment_id), entry.payment_id, entry.currency
    FROM entry
    WHERE entry.currency <> (SELECT installation.currency FROM busbar.installation)
) AS foreign_money
CROSS JOIN busbar.installation
WHERE foreign_money.currency <> installation.currency
ORDER BY foreign_money.payment_id, foreign_money.place
LIMIT $1::bigint;
