SELECT
    'payment ' || undo.payment_id AS place,
    format(
        '%s of %s fen on %s names as its original %s',
        undo.kind, undo.amount_fen, undo.clearing_date,
        CASE
            WHEN undo.original_payment_id IS NULL THEN 'nothing'
            WHEN original.payment_id IS NULL THEN format('payment %s, which is not here', undo.original_payment_id)
            ELSE format(
                'payment %s: %s of %s fen on %s%s%s',
                original.payment_id, original.kind, original.amount_fen, original.clearing_date,
                CASE WHEN original.bank = undo.bank THEN '' ELSE ', of another bank' END,
                CASE WHEN original.customer_no = undo.customer_no THEN '' ELSE ', of another customer' END
            )
        END
    ) AS finding,
    count(*) OVER () AS offences
FROM payment AS undo
LEFT JOIN payment AS original ON original.payment_id = undo.original_payment_id
WHERE CASE
    WHEN undo.kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT', 'PREPAYMENT_APPLIED') THEN undo.original_payment_id IS NOT NULL
    -- A withdrawal takes back at most what its original drew, whoever was paid.
    WHEN undo.kind = 'PREPAYMENT_WITHDRAWN' THEN
        (original.customer_no, original.currency) IS DISTINCT FROM (undo.customer_no, undo.currency)
        OR original.kind NOT IN ('PAYMENT', 'PREPAYMENT_APPLIED')
        OR original.recording_no > undo.recording_no
        OR undo.prepayment_movement_fen NOT BETWEEN 1 AND -original.prepayment_movement_fen
    ELSE
        original.kind NOT IN ('PAYMENT', 'PREPAYMENT_DEPOSIT')
        OR (original.bank, original.customer_no, original.amount_fen, original.currency)
        IS DISTINCT FROM (undo.bank, undo.customer_no, undo.amount_fen, undo.currency)
        OR original.recording_no > undo.recording_no
        -- A next-day reversal is what comes after the cut-off, the others come before it.
        OR (undo.kind = 'NEXT_DAY_REVERSAL') <> (undo.clearing_date > original.clearing_date)
        OR undo.clearing_date < original.clearing_date
END
ORDER BY undo.payment_id
LIMIT $1::bigint;
