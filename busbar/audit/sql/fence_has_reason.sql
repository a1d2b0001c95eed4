SELECT
    pg_temp.key_name(fence.bank, fence.kind, fence.trace_date, fence.trace_no) AS place,
    CASE
        WHEN fence.fenced_by_bank IS NULL THEN 'is fenced and does not say by what'
        ELSE 'is fenced by an operation that is not here: ' || pg_temp.key_name(
            fence.fenced_by_bank, fence.fenced_by_kind, fence.fenced_by_trace_date, fence.fenced_by_trace_no
        )
    END AS finding,
    count(*) OVER () AS offences
FROM operation AS fence
WHERE fence.fence
    AND NOT EXISTS (
        SELECT
        FROM operation AS reason
        WHERE reason.bank = fence.fenced_by_bank
            AND reason.kind = fence.fenced_by_kind
            AND reason.trace_date = fence.fenced_by_trace_date
            AND reason.trace_no = fence.fenced_by_trace_no
            AND NOT reason.fence
    )
ORDER BY fence.bank, fence.trace_date, fence.trace_no
LIMIT $1::bigint;
