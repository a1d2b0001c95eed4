-- What became of letters that were tried. One that a person has discarded meanwhile stays so.
UPDATE event_dead_letter
SET
    state = tried.state,
    reason = tried.reason,
    attempts = tried.attempts,
    next_try_at = tried.next_try_at,
    closed_at = CASE tried.state WHEN 'DELIVERED' THEN $2::timestamptz END
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[])
AS tried (recording_no, state, reason, attempts, next_try_at)
WHERE event_dead_letter.subscriber = $1
    AND event_dead_letter.recording_no = tried.recording_no
    AND event_dead_letter.state = 'TRYING';
