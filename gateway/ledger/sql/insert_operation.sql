INSERT INTO operation (
    bank, kind, trace_date, trace_no, customer_no, digest, outcome, payment_id, fence,
    fenced_by_bank, fenced_by_kind, fenced_by_trace_date, fenced_by_trace_no,
    trace_id, clearing_date, recorded_at
)
SELECT
    new.bank, new.kind, new.trace_date, new.trace_no, new.customer_no, new.digest, new.outcome, new.payment_id, new.fence,
    new.fenced_by_bank, new.fenced_by_kind, new.fenced_by_trace_date, new.fenced_by_trace_no,
    new.trace_id, $2::date, $3::timestamptz
FROM unnest($1::new_operation[]) AS new;
