-- A bank's open rows of the day and earlier ones, keyed as the match keys entries: by the payment that they are about.
SELECT
    unresolved_id,
    CASE WHEN kind IN ('SAME_DAY_CANCEL', 'REVERSAL') THEN 'UNDO' ELSE 'PAY' END AS direction,
    coalesce(about_trace_date, trace_date) AS key_date,
    coalesce(about_trace_no, trace_no) AS key_no,
    clearing_date,
    our_side
FROM published_unresolved
WHERE bank = $1 AND is_open AND clearing_date <= $2
ORDER BY unresolved_id
