CREATE TEMPORARY TABLE acknowledged (
    source text NOT NULL,
    bank text NOT NULL,
    kind text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    amount_minor bigint,
    currency text,
    reference_no text,
    clearing_date date,
    outcome_class text NOT NULL
)
