-- Postings of a clearing date in key order. A reference number is the partition (2 digits) and the payment id (10), and
-- an original lives in its undo's partition, so the original's reference number follows.
SELECT
    $2::integer, payment_id, kind, bank, trace_date, trace_no, customer_no, org_code, amount_fen, signed_fen, currency,
    channel, settle_method,
    to_char(paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    clearing_date, settles_date, reference_no, original_trace_date, original_trace_no, original_clearing_date,
    left(reference_no, 2) || lpad(original_payment_id::text, 10, '0'),
    prepayment_opening_fen, prepayment_movement_fen, prepayment_closing_fen
FROM published_payment
WHERE clearing_date = $1
ORDER BY bank, trace_date, trace_no, kind
