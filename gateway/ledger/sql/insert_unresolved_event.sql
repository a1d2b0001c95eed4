-- One event for each of some rows; a row is closed once, whoever is first.
INSERT INTO unresolved_event (unresolved_id, event, reason, happened_at, trace_id)
SELECT unresolved_id, $2, $3, $4, $5
FROM unnest($1::bigint[]) AS ids (unresolved_id)
ON CONFLICT DO NOTHING;
