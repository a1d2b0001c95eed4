INSERT INTO evidence (
    bank, kind, trace_date, trace_no, trace_id, key_id, wire, received_at, outcome, request, clearing_date, recorded_at
)
SELECT
    new.bank, new.kind, new.trace_date, new.trace_no, new.trace_id, new.key_id, new.wire, new.received_at, new.outcome,
    new.request, $2::date, $3::timestamptz
FROM unnest($1::new_evidence[]) AS new;
