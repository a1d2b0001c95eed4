UPDATE event_dead_letter
SET state = 'DISCARDED', closed_at = $3
FROM payment
WHERE event_dead_letter.subscriber = $1
    AND payment.recording_no = event_dead_letter.recording_no
    AND payment.reference_no = $2
    AND event_dead_letter.state IN ('TRYING', 'BEHIND', 'DEAD')
RETURNING event_dead_letter.customer_no;
