-- What is open, from a number on.
SELECT
    unresolved.unresolved_id,
    unresolved.bank,
    unresolved.trace_date,
    unresolved.trace_no,
    unresolved.about_trace_date,
    unresolved.about_trace_no,
    unresolved.opened_at
FROM unresolved
WHERE
    unresolved.unresolved_id > $1
    AND NOT EXISTS (
        SELECT FROM unresolved_event
        WHERE unresolved_event.unresolved_id = unresolved.unresolved_id AND unresolved_event.event = 'CLOSED'
    );
