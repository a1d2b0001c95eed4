-- What each side wrote in one partition: rows, sum of fen, bytes; entries by account, bills by whether they are settled.
SELECT payment.bank, 'payment' AS what, count(*) AS row_count, sum(payment.amount_fen)::bigint AS fen,
    sum(pg_column_size(payment.*))::bigint AS byte_count
FROM {schema}.payment
GROUP BY payment.bank
UNION ALL
SELECT entry.bank, 'entry ' || entry.account, count(*), sum(entry.amount_fen)::bigint, sum(pg_column_size(entry.*))::bigint
FROM {schema}.entry
GROUP BY entry.bank, entry.account
UNION ALL
SELECT operation.bank, 'operation', count(*), sum((operation.outcome -> 'amount' ->> 0)::bigint)::bigint,
    sum(pg_column_size(operation.*))::bigint
FROM {schema}.operation
GROUP BY operation.bank
UNION ALL
SELECT evidence.bank, 'evidence', count(*), sum((evidence.outcome -> 'amount' ->> 0)::bigint)::bigint,
    sum(pg_column_size(evidence.*))::bigint
FROM {schema}.evidence
GROUP BY evidence.bank
UNION ALL
SELECT
    CASE left(receivable.customer_no, 1) WHEN 'L' THEN 'LANE' ELSE 'PGBENCH' END, 'settled bill', count(*),
    sum(receivable.received_principal_fen + receivable.received_penalty_fen)::bigint,
    sum(pg_column_size(receivable.*))::bigint
FROM {schema}.receivable
WHERE receivable.received_principal_fen = receivable.principal_fen
GROUP BY left(receivable.customer_no, 1);
