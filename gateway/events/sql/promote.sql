-- The first of a queue whose head is closed becomes the head, and is due at once.
UPDATE event_dead_letter
SET state = 'TRYING', trying_since = $3, next_try_at = $3
FROM (
    SELECT DISTINCT ON (queued.customer_no) queued.recording_no, queued.state
    FROM event_dead_letter AS queued
    WHERE queued.subscriber = $1
        AND queued.customer_no = ANY($2::text[])
        AND queued.state IN ('TRYING', 'BEHIND', 'DEAD')
    ORDER BY queued.customer_no, queued.recording_no
) AS head
WHERE event_dead_letter.subscriber = $1
    AND event_dead_letter.recording_no = head.recording_no
    AND head.state = 'BEHIND';
