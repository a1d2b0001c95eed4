SELECT unresolved_event.unresolved_id
FROM unresolved_event
WHERE unresolved_event.event = 'CLOSED' AND unresolved_event.unresolved_id = ANY($1::bigint[]);
