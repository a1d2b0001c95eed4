-- A lane sends the new rows of a batch as one array of these: an array for each column costs both sides about twice as
-- much. What is the same in every row of a batch comes beside the array. A further column is a further type.

CREATE TYPE new_operation AS (
    bank text,
    kind text,
    trace_date date,
    trace_no text,
    customer_no text,
    digest bytea,
    outcome jsonb,
    payment_id bigint,
    fence boolean,
    fenced_by_bank text,
    fenced_by_kind text,
    fenced_by_trace_date date,
    fenced_by_trace_no text,
    trace_id text
);

CREATE TYPE new_payment AS (
    payment_id bigint,
    kind text,
    bank text,
    trace_date date,
    trace_no text,
    customer_no text,
    org_code text,
    amount_fen bigint,
    channel text,
    settle_method text,
    outlet text,
    operator text,
    paid_at timestamptz,
    paid_date date,
    clearing_date date,
    reference_no text,
    original_payment_id bigint,
    prepayment_opening_fen bigint,
    prepayment_movement_fen bigint,
    trace_id text
);

CREATE TYPE new_entry AS (
    payment_id bigint,
    line_no smallint,
    account text,
    amount_fen bigint,
    bank text,
    channel text,
    clearing_date date,
    receivable_id text,
    billing_month integer,
    charge_kind text,
    org_code text
);

CREATE TYPE new_evidence AS (
    bank text,
    kind text,
    trace_date date,
    trace_no text,
    trace_id text,
    key_id text,
    wire text,
    received_at timestamptz,
    outcome jsonb,
    request bytea
);

CREATE TYPE new_sign_event AS (
    bank text,
    kind text,
    trace_date date,
    trace_no text,
    signed_on boolean,
    trace_id text
);
