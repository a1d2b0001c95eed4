SELECT
    operation.bank,
    operation.kind,
    operation.trace_date,
    operation.trace_no,
    operation.customer_no,
    operation.digest,
    operation.outcome,
    operation.payment_id,
    operation.fence,
    operation.fenced_by_bank,
    operation.fenced_by_kind,
    operation.fenced_by_trace_date,
    operation.fenced_by_trace_no
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[]) AS wanted (bank, kind, trace_date, trace_no)
JOIN operation
    ON operation.bank = wanted.bank
    AND operation.kind = wanted.kind
    AND operation.trace_date = wanted.trace_date
    AND operation.trace_no = wanted.trace_no;
