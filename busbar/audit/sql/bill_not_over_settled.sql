-- From the entries alone: what came in for a bill is never more than its principal, and never less than nothing.
SELECT
    'bill ' || receivable.receivable_id AS place,
    format(
        'principal %s fen; its entries settle %s fen and %s fen of penalty (last by payment %s)',
        receivable.principal_fen, settled.principal_fen, settled.penalty_fen, settled.last_payment_id
    ) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        entry.receivable_id,
        -coalesce(sum(entry.amount_fen) FILTER (WHERE entry.account = 'RECEIVABLE'), 0) AS principal_fen,
        -coalesce(sum(entry.amount_fen) FILTER (WHERE entry.account = 'PENALTY_INCOME'), 0) AS penalty_fen,
        max(entry.payment_id) AS last_payment_id
    FROM entry
    WHERE entry.receivable_id IS NOT NULL
    GROUP BY entry.receivable_id
) AS settled
JOIN receivable ON receivable.receivable_id = settled.receivable_id
WHERE settled.principal_fen NOT BETWEEN 0 AND receivable.principal_fen OR settled.penalty_fen < 0
ORDER BY receivable.receivable_id
LIMIT $1::bigint;
