-- What is still open under an operation's own key.
SELECT unresolved.unresolved_id, unresolved.opened_at
FROM unresolved
WHERE
    unresolved.bank = $1
    AND unresolved.kind = $2
    AND unresolved.trace_date = $3
    AND unresolved.trace_no = $4
    AND NOT EXISTS (
        SELECT FROM unresolved_event
        WHERE unresolved_event.unresolved_id = unresolved.unresolved_id AND unresolved_event.event = 'CLOSED'
    )
ORDER BY unresolved.unresolved_id;
