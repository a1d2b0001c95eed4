SELECT
    'all entries in ' || total.currency AS place,
    format('%s entries sum to %s fen', total.entries, total.sum_fen) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT every_entry.currency, count(*) AS entries, sum(every_entry.amount_fen) AS sum_fen
    FROM every_entry
    GROUP BY every_entry.currency
    HAVING sum(every_entry.amount_fen) <> 0
) AS total
ORDER BY total.currency
LIMIT $1::bigint;
