INSERT INTO evidence (
    bank, kind, trace_date, trace_no, trace_id, key_id, wire, received_at, outcome, request, clearing_date, recorded_at
)
SELECT
    new.bank, new.kind, new.trace_date, new.trace_no, new.trace_id, new.key_id, new.wire, new.received_at, new.outcome,
    new.request, $11::date, $12::timestamptz
FROM unnest(
    $1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::jsonb[],
    $10::bytea[]
) AS new (bank, kind, trace_date, trace_no, trace_id, key_id, wire, received_at, outcome, request);
