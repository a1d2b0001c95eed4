-- The last day has no end yet.
WITH day AS (
    SELECT
        clearing_day.clearing_date,
        clearing_day.opened_at,
        coalesce(lead(clearing_day.opened_at) OVER (ORDER BY clearing_day.clearing_date), 'infinity') AS next_opened_at
    FROM clearing_day
)
SELECT
    stamped.place,
    format(
        'was recorded at %s and stamped with %s, which was open from %s to %s',
        stamped.recorded_at, day.clearing_date, day.opened_at, day.next_opened_at
    ) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT 'payment ' || payment.payment_id AS place, payment.clearing_date, payment.recorded_at
    FROM payment
    UNION ALL
    SELECT
        pg_temp.key_name(operation.bank, operation.kind, operation.trace_date, operation.trace_no),
        operation.clearing_date,
        operation.recorded_at
    FROM operation
    UNION ALL
    SELECT 'evidence ' || evidence.evidence_id, evidence.clearing_date, evidence.recorded_at
    FROM evidence
) AS stamped
JOIN day ON day.clearing_date = stamped.clearing_date
WHERE stamped.recorded_at NOT BETWEEN day.opened_at AND day.next_opened_at
ORDER BY stamped.place
LIMIT $1::bigint;
