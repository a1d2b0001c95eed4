-- Heads of customers' queues whose time has come; at most one of each customer.
SELECT
    letter.attempts,
    letter.trying_since,
    payment_event.recording_no,
    payment_event.payment_id,
    payment_event.reference_no,
    payment_event.kind,
    payment_event.customer_no,
    payment_event.amount_fen,
    payment_event.currency,
    payment_event.bank,
    payment_event.channel,
    payment_event.paid_at,
    payment_event.recorded_at,
    payment_event.clearing_date,
    payment_event.prepayment_movement_fen,
    payment_event.original_reference_no,
    false AS is_behind
FROM event_dead_letter AS letter
JOIN payment_event ON payment_event.recording_no = letter.recording_no
WHERE letter.subscriber = $1 AND letter.state = 'TRYING' AND letter.next_try_at <= $2
ORDER BY letter.next_try_at, letter.recording_no
LIMIT $3;
