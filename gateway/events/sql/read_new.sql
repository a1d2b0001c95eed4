SELECT
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
    EXISTS (
        SELECT FROM event_dead_letter AS ahead
        WHERE ahead.subscriber = $1
            AND ahead.customer_no = payment_event.customer_no
            AND ahead.state IN ('TRYING', 'BEHIND', 'DEAD')
    ) AS is_behind
FROM payment_event
WHERE payment_event.recording_no > $2 AND payment_event.recording_no <= $3
ORDER BY payment_event.recording_no
LIMIT $4;
