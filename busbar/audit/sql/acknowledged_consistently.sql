-- What is not told (NULL) contradicts nothing.
SELECT
    pg_temp.key_name(told.bank, told.kind, told.trace_date, told.trace_no) AS place,
    'acknowledged more than once, and differently: ' || told.sources AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        acknowledged.bank,
        acknowledged.kind,
        acknowledged.trace_date,
        acknowledged.trace_no,
        min(acknowledged.source) || ' and ' || max(acknowledged.source) AS sources
    FROM acknowledged
    WHERE acknowledged.outcome_class = 'success'
    GROUP BY acknowledged.bank, acknowledged.kind, acknowledged.trace_date, acknowledged.trace_no
    HAVING min(acknowledged.amount_minor) <> max(acknowledged.amount_minor)
        OR min(acknowledged.currency) <> max(acknowledged.currency)
        OR min(acknowledged.reference_no) <> max(acknowledged.reference_no)
        OR min(acknowledged.clearing_date) <> max(acknowledged.clearing_date)
) AS told
ORDER BY told.bank, told.trace_date, told.trace_no
LIMIT $1::bigint;
