SELECT
    'bill ' || standing.receivable_id AS place,
    format('stands %s times, in partitions %s and %s', standing.times, standing.lowest, standing.highest) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_receivable.receivable_id,
        count(*) AS times,
        min(every_receivable.partition) AS lowest,
        max(every_receivable.partition) AS highest
    FROM every_receivable
    GROUP BY every_receivable.receivable_id
    HAVING count(*) > 1
) AS standing
ORDER BY standing.receivable_id
LIMIT $1::bigint;
