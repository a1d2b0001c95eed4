-- One look-up in the index for each key: LATERAL with LIMIT leaves the planner no other way, whatever it believes about
-- the size of the table (it is empty when the plan is made).
SELECT
    found.bank,
    found.kind,
    found.trace_date,
    found.trace_no,
    found.customer_no,
    found.digest,
    found.outcome,
    found.payment_id,
    found.fence,
    found.fenced_by_bank,
    found.fenced_by_kind,
    found.fenced_by_trace_date,
    found.fenced_by_trace_no
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[]) AS wanted (bank, kind, trace_date, trace_no)
CROSS JOIN LATERAL (
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
    FROM operation
    WHERE
        operation.bank = wanted.bank
        AND operation.kind = wanted.kind
        AND operation.trace_date = wanted.trace_date
        AND operation.trace_no = wanted.trace_no
    LIMIT 1
) AS found;
