INSERT INTO operation (
    bank, kind, trace_date, trace_no, customer_no, digest, outcome, payment_id, fence,
    fenced_by_bank, fenced_by_kind, fenced_by_trace_date, fenced_by_trace_no,
    trace_id, clearing_date, recorded_at
)
SELECT
    new.bank, new.kind, new.trace_date, new.trace_no, new.customer_no, new.digest, new.outcome, new.payment_id, new.fence,
    new.fenced_by_bank, new.fenced_by_kind, new.fenced_by_trace_date, new.fenced_by_trace_no,
    new.trace_id, $15::date, $16::timestamptz
FROM unnest(
    $1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::bytea[], $7::jsonb[], $8::bigint[], $9::boolean[],
    $10::text[], $11::text[], $12::date[], $13::text[], $14::text[]
) AS new (
    bank, kind, trace_date, trace_no, customer_no, digest, outcome, payment_id, fence,
    fenced_by_bank, fenced_by_kind, fenced_by_trace_date, fenced_by_trace_no, trace_id
);
