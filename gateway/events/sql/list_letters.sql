-- Heads of queues with what stands behind each, oldest first.
SELECT
    letter.subscriber,
    payment.reference_no,
    payment.kind,
    payment.recorded_at,
    letter.state,
    letter.reason,
    letter.attempts,
    letter.set_aside_at,
    (
        SELECT count(*)
        FROM event_dead_letter AS behind
        WHERE behind.subscriber = letter.subscriber
            AND behind.customer_no = letter.customer_no
            AND behind.state = 'BEHIND'
    ) AS behind
FROM event_dead_letter AS letter
JOIN payment ON payment.recording_no = letter.recording_no
WHERE letter.state IN ('TRYING', 'DEAD') AND ($1::text IS NULL OR letter.subscriber = $1)
ORDER BY letter.set_aside_at, letter.recording_no
LIMIT $2;
