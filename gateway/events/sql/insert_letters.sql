INSERT INTO event_dead_letter (
    subscriber, recording_no, customer_no, state, reason, attempts, next_try_at, set_aside_at, trying_since
)
SELECT $1, new.recording_no, new.customer_no, new.state, new.reason, new.attempts, new.next_try_at, $2, $2
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::timestamptz[])
AS new (recording_no, customer_no, state, reason, attempts, next_try_at);
