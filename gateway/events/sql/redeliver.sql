-- Heads that waited for a person are tried again: of one event's customer, or of every customer.
UPDATE event_dead_letter
SET state = 'TRYING', attempts = 0, trying_since = $3, next_try_at = $3
FROM payment
WHERE event_dead_letter.subscriber = $1
    AND event_dead_letter.state = 'DEAD'
    AND payment.recording_no = event_dead_letter.recording_no
    AND (
        $2::text IS NULL
        OR payment.customer_no = (SELECT named.customer_no FROM payment AS named WHERE named.reference_no = $2)
    )
RETURNING payment.reference_no;
