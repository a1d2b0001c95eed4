-- Under the same key and trace id, with the outcome that was answered. A fence is proved by what left it.
SELECT
    pg_temp.key_name(operation.bank, operation.kind, operation.trace_date, operation.trace_no) AS place,
    format('its request is not kept (trace id %s, outcome %s)', operation.trace_id, operation.outcome ->> 'result')
        AS finding,
    count(*) OVER () AS offences
FROM operation
WHERE NOT operation.fence
    AND operation.kind IN ('PAYMENT', 'SAME_DAY_CANCEL', 'REVERSAL', 'STATUS_ENQUIRY')
    AND NOT EXISTS (
        SELECT
        FROM evidence
        WHERE evidence.bank = operation.bank
            AND evidence.trace_date = operation.trace_date
            AND evidence.trace_no = operation.trace_no
            AND evidence.kind = operation.kind
            AND evidence.trace_id = operation.trace_id
            AND evidence.outcome = operation.outcome
            AND length(evidence.request) > 0
    )
ORDER BY operation.bank, operation.trace_date, operation.trace_no
LIMIT $1::bigint;
