SELECT
    stamped.place,
    format('is stamped with %s, which was never opened', stamped.clearing_date) AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT 'payment ' || payment.payment_id AS place, payment.clearing_date
    FROM payment
    UNION ALL
    SELECT
        pg_temp.key_name(operation.bank, operation.kind, operation.trace_date, operation.trace_no), operation.clearing_date
    FROM operation
    UNION ALL
    SELECT 'evidence ' || evidence.evidence_id, evidence.clearing_date
    FROM evidence
    UNION ALL
    SELECT 'sign event ' || sign_event.sign_event_id, sign_event.clearing_date
    FROM sign_event
) AS stamped
WHERE NOT EXISTS (SELECT FROM clearing_day WHERE clearing_day.clearing_date = stamped.clearing_date)
ORDER BY stamped.place
LIMIT $1::bigint;
