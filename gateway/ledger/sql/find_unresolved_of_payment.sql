-- What is still open about a payment, the payment itself and what was to undo it, by the bank's trace or by our reference
-- number ($4).
SELECT unresolved.unresolved_id, unresolved.opened_at
FROM unresolved
WHERE
    unresolved.bank = $1
    AND (
        (unresolved.about_trace_date = $2 AND unresolved.about_trace_no = $3)
        OR (unresolved.about_trace_date, unresolved.about_trace_no) IN (
            SELECT payment.trace_date, payment.trace_no
            FROM payment
            WHERE payment.reference_no = $4 AND payment.bank = $1
        )
    )
    AND NOT EXISTS (
        SELECT FROM unresolved_event
        WHERE unresolved_event.unresolved_id = unresolved.unresolved_id AND unresolved_event.event = 'CLOSED'
    )
ORDER BY unresolved.unresolved_id;
