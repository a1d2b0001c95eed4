-- What a bank asks for settles on its clearing day; only a treatment settles later.
INSERT INTO payment (
    payment_id, kind, bank, trace_date, trace_no, customer_no, org_code, amount_fen, channel, settle_method, outlet,
    operator, paid_at, paid_date, clearing_date, settles_date, reference_no, original_payment_id,
    prepayment_opening_fen, prepayment_movement_fen, prepayment_closing_fen, trace_id, currency, recorded_at
)
SELECT
    new.payment_id, new.kind, new.bank, new.trace_date, new.trace_no, new.customer_no, new.org_code, new.amount_fen,
    new.channel, new.settle_method, new.outlet, new.operator, new.paid_at, new.paid_date, new.clearing_date,
    new.clearing_date, new.reference_no, new.original_payment_id, new.prepayment_opening_fen,
    new.prepayment_movement_fen, new.prepayment_opening_fen + new.prepayment_movement_fen, new.trace_id,
    $2::text, $3::timestamptz
FROM unnest($1::new_payment[]) AS new;
