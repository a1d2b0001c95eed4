INSERT INTO unresolved_event (unresolved_id, event, reason, file_date, age_days, detail, happened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
