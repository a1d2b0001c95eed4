-- In the order of recording every customer's posting opens with what the one before closed with, the first with nothing.
SELECT
    'payment ' || chained.payment_id AS place,
    CASE
        WHEN chained.previous_payment_id IS NULL
            THEN format('is the customer''s first and opens with %s fen', chained.prepayment_opening_fen)
        ELSE format(
            'opens with %s fen; payment %s before it closed with %s',
            chained.prepayment_opening_fen, chained.previous_payment_id, chained.expected_fen
        )
    END AS finding,
    count(*) OVER () AS offences
FROM (
    SELECT
        payment.payment_id,
        payment.prepayment_opening_fen,
        lag(payment.payment_id) OVER by_recording AS previous_payment_id,
        lag(payment.prepayment_closing_fen, 1, 0::bigint) OVER by_recording AS expected_fen
    FROM payment
    WINDOW by_recording AS (PARTITION BY payment.customer_no ORDER BY payment.recording_no)
) AS chained
WHERE chained.prepayment_opening_fen <> chained.expected_fen
ORDER BY chained.payment_id
LIMIT $1::bigint;
