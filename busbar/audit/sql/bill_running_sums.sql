SELECT
    'bill ' || receivable.receivable_id AS place,
    format(
        'says %s fen and %s fen of penalty received; its entries sum to %s and %s',
        receivable.received_principal_fen, receivable.received_penalty_fen,
        coalesce(settled.principal_fen, 0), coalesce(settled.penalty_fen, 0)
    ) AS finding,
    count(*) OVER () AS offences
FROM receivable
LEFT JOIN (
    SELECT
        entry.receivable_id,
        -coalesce(sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0) AS principal_fen,
        -coalesce(sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0) AS penalty_fen
    FROM entry
    WHERE entry.receivable_id IS NOT NULL
    GROUP BY entry.receivable_id
) AS settled ON settled.receivable_id = receivable.receivable_id
WHERE receivable.received_principal_fen <> coalesce(settled.principal_fen, 0)
    OR receivable.received_penalty_fen <> coalesce(settled.penalty_fen, 0)
ORDER BY receivable.receivable_id
LIMIT $1::bigint;
