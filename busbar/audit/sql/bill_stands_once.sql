SELECT
    'bill ' || standing.receivable_id AS place,
    'stands in partitions ' || standing.partitions AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        every_receivable.receivable_id,
        string_agg(every_receivable.partition::text, ', ' ORDER BY every_receivable.partition) AS partitions
    FROM every_receivable
    GROUP BY every_receivable.receivable_id
    HAVING count(*) > 1
) AS standing
ORDER BY standing.receivable_id
LIMIT $1::bigint;
