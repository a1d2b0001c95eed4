-- Whatever a bank was told is done has its record; a question has none.
SELECT
    'evidence ' || evidence.evidence_id || ', '
    || pg_temp.key_name(evidence.bank, evidence.kind, evidence.trace_date, evidence.trace_no) AS place,
    'was answered as approved, and no operation of that key is recorded as approved' AS finding,
    count(*) OVER () AS offences
FROM evidence
WHERE evidence.kind IN ('PAYMENT', 'SAME_DAY_CANCEL', 'REVERSAL')
    AND evidence.outcome ->> 'result' = 'approved'
    AND NOT EXISTS (
        SELECT
        FROM operation
        WHERE operation.bank = evidence.bank
            AND operation.kind = evidence.kind
            AND operation.trace_date = evidence.trace_date
            AND operation.trace_no = evidence.trace_no
            AND operation.outcome ->> 'result' = 'approved'
    )
ORDER BY evidence.evidence_id
LIMIT $1::bigint;
