SELECT
    'payment ' || unbalanced.payment_id AS place,
    format('its entries in %s sum to %s fen', unbalanced.currency, unbalanced.sum_fen) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT entry.payment_id, entry.currency, sum(entry.amount_fen) AS sum_fen
    FROM entry
    GROUP BY entry.payment_id, entry.currency
    HAVING sum(entry.amount_fen) <> 0
) AS unbalanced
ORDER BY unbalanced.payment_id
LIMIT $1::bigint;
