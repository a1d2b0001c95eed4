-- One partition of the billing ledger. Money is bigint fen. Rows are inserted and never changed, but for the running
-- sums of `customer` and `receivable`. No enum types, no triggers of ours, no reference to another schema: the same
-- file serves one PostgreSQL and a cluster that spreads schemas over machines.

-- The day that new postings are stamped with is the greatest one here. A cut-off inserts the next.
CREATE TABLE clearing_day (
    clearing_date date NOT NULL,
    opened_at timestamptz NOT NULL,
    CONSTRAINT clearing_day_key PRIMARY KEY (clearing_date)
);

-- fillfactor: running sums are updated in place (HOT), so each page keeps room for the next version of its rows.
CREATE TABLE customer (
    customer_no text NOT NULL,
    payment_no text NOT NULL,
    name text NOT NULL,
    supply_address text NOT NULL,
    org_code text NOT NULL,
    customer_class text NOT NULL,
    usage_category text NOT NULL,
    penalty_exempt boolean NOT NULL,
    prepayment_balance_fen bigint NOT NULL DEFAULT 0,
    imported_at timestamptz NOT NULL,
    CONSTRAINT customer_key PRIMARY KEY (customer_no),
    CONSTRAINT customer_numbers_valid CHECK (length(customer_no) BETWEEN 1 AND 32 AND length(payment_no) BETWEEN 1 AND 32),
    CONSTRAINT customer_balance_not_negative CHECK (prepayment_balance_fen >= 0)
) WITH (fillfactor = 80);

CREATE TABLE receivable (
    receivable_id text NOT NULL,
    customer_no text NOT NULL,
    billing_month integer NOT NULL,
    charge_kind text NOT NULL,
    org_code text NOT NULL,
    principal_fen bigint NOT NULL,
    due_date date NOT NULL,
    partial_payment_allowed boolean NOT NULL,
    locked boolean NOT NULL,
    received_principal_fen bigint NOT NULL DEFAULT 0,
    received_penalty_fen bigint NOT NULL DEFAULT 0,
    imported_at timestamptz NOT NULL,
    CONSTRAINT receivable_key PRIMARY KEY (receivable_id),
    CONSTRAINT receivable_of_customer FOREIGN KEY (customer_no) REFERENCES customer (customer_no),
    CONSTRAINT receivable_id_valid CHECK (length(receivable_id) BETWEEN 1 AND 32),
    CONSTRAINT receivable_month_valid CHECK (billing_month BETWEEN 190001 AND 299912 AND billing_month % 100 BETWEEN 1 AND 12),
    CONSTRAINT receivable_principal_positive CHECK (principal_fen > 0),
    CONSTRAINT receivable_received_within_principal CHECK (received_principal_fen BETWEEN 0 AND principal_fen),
    CONSTRAINT receivable_received_penalty_not_negative CHECK (received_penalty_fen >= 0)
) WITH (fillfactor = 80);
CREATE INDEX receivable_by_customer ON receivable (customer_no);

-- Ten digits of a reference number come from here: a cluster-wide or per-batch waste of numbers would end them.
CREATE SEQUENCE payment_id_sequence AS bigint MINVALUE 1 MAXVALUE 9999999999 NO CYCLE;

-- recording_no: payment ids are reserved in blocks, so theirs is not the order of booking between two processes; this
-- number is taken while the customer's row is locked, so it is the order of a customer's postings.
CREATE TABLE payment (
    payment_id bigint NOT NULL,
    recording_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    bank text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    customer_no text NOT NULL,
    org_code text NOT NULL,
    amount_fen bigint NOT NULL,
    currency text NOT NULL,
    channel text NOT NULL,
    settle_method text NOT NULL,
    outlet text NOT NULL,
    operator text NOT NULL,
    paid_at timestamptz NOT NULL,
    paid_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    clearing_date date NOT NULL,
    settles_date date NOT NULL,
    reference_no text NOT NULL,
    original_payment_id bigint,
    prepayment_opening_fen bigint NOT NULL,
    prepayment_movement_fen bigint NOT NULL,
    prepayment_closing_fen bigint NOT NULL,
    trace_id text NOT NULL,
    CONSTRAINT payment_key PRIMARY KEY (payment_id),
    CONSTRAINT payment_once UNIQUE (bank, kind, trace_date, trace_no),
    CONSTRAINT payment_reference_once UNIQUE (reference_no),
    CONSTRAINT payment_of_original FOREIGN KEY (original_payment_id) REFERENCES payment (payment_id),
    CONSTRAINT payment_id_valid CHECK (payment_id BETWEEN 1 AND 9999999999),
    CONSTRAINT payment_kind_valid CHECK (kind IN ('PAYMENT', 'SAME_DAY_CANCEL', 'REVERSAL', 'NEXT_DAY_REVERSAL')),
    CONSTRAINT payment_original_valid CHECK ((kind = 'PAYMENT') = (original_payment_id IS NULL) AND original_payment_id <> payment_id),
    CONSTRAINT payment_amount_positive CHECK (amount_fen > 0),
    CONSTRAINT payment_currency_valid CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT payment_trace_valid CHECK (bank <> '' AND length(trace_no) BETWEEN 1 AND 32),
    CONSTRAINT payment_reference_valid CHECK (reference_no ~ '^[0-9]{12}$' AND right(reference_no, 10)::bigint = payment_id),
    CONSTRAINT payment_prepayment_adds_up CHECK (prepayment_closing_fen = prepayment_opening_fen + prepayment_movement_fen),
    CONSTRAINT payment_prepayment_not_negative CHECK (prepayment_opening_fen >= 0 AND prepayment_closing_fen >= 0)
);
-- A payment is undone once.
CREATE UNIQUE INDEX payment_undone_once ON payment (original_payment_id) WHERE original_payment_id IS NOT NULL;
-- Days only grow, so that a block range index finds a day's rows and costs an insert nothing.
CREATE INDEX payment_by_clearing_date ON payment USING brin (clearing_date, settles_date) WITH (autosummarize = on);

CREATE TABLE entry (
    payment_id bigint NOT NULL,
    line_no smallint NOT NULL,
    account text NOT NULL,
    amount_fen bigint NOT NULL,
    currency text NOT NULL,
    bank text NOT NULL,
    channel text NOT NULL,
    clearing_date date NOT NULL,
    settles_date date NOT NULL,
    receivable_id text,
    billing_month integer,
    charge_kind text,
    org_code text NOT NULL,
    CONSTRAINT entry_key PRIMARY KEY (payment_id, line_no),
    CONSTRAINT entry_of_payment FOREIGN KEY (payment_id) REFERENCES payment (payment_id),
    CONSTRAINT entry_line_valid CHECK (line_no > 0),
    CONSTRAINT entry_account_valid CHECK (account IN ('DUE_FROM_BANK', 'RECEIVABLE', 'PENALTY_INCOME', 'PREPAYMENT', 'SUSPENSE', 'COMMISSION')),
    CONSTRAINT entry_amount_not_zero CHECK (amount_fen <> 0),
    CONSTRAINT entry_currency_valid CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT entry_names_receivable CHECK ((account IN ('RECEIVABLE', 'PENALTY_INCOME')) = (receivable_id IS NOT NULL)),
    CONSTRAINT entry_month_valid CHECK (billing_month BETWEEN 190001 AND 299912 AND billing_month % 100 BETWEEN 1 AND 12)
);
CREATE INDEX entry_by_receivable ON entry (receivable_id) WHERE receivable_id IS NOT NULL;
CREATE INDEX entry_by_clearing_date ON entry USING brin (clearing_date, settles_date) WITH (autosummarize = on);

-- The final outcome under a key. A fence stands on the key of a payment that may never be booked.
CREATE TABLE operation (
    bank text NOT NULL,
    kind text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    customer_no text NOT NULL,
    digest bytea NOT NULL,
    outcome jsonb NOT NULL,
    payment_id bigint,
    fence boolean NOT NULL,
    fenced_by_bank text,
    fenced_by_kind text,
    fenced_by_trace_date date,
    fenced_by_trace_no text,
    clearing_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    trace_id text NOT NULL,
    CONSTRAINT operation_once PRIMARY KEY (bank, kind, trace_date, trace_no),
    CONSTRAINT operation_key_valid CHECK (bank <> '' AND kind <> '' AND length(trace_no) BETWEEN 1 AND 32),
    CONSTRAINT operation_digest_valid CHECK (fence OR length(digest) = 32),
    CONSTRAINT operation_fence_valid CHECK (NOT fence OR (kind = 'PAYMENT' AND payment_id IS NULL)),
    CONSTRAINT operation_fenced_by_valid CHECK (num_nonnulls(fenced_by_bank, fenced_by_kind, fenced_by_trace_date, fenced_by_trace_no) IN (0, 4))
);

-- The exact bytes of every request that moves money, refused ones too; `request` is deflated (zlib).
CREATE TABLE evidence (
    evidence_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    bank text NOT NULL,
    kind text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    trace_id text NOT NULL,
    key_id text NOT NULL,
    wire text NOT NULL,
    received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    clearing_date date NOT NULL,
    outcome jsonb NOT NULL,
    request bytea NOT NULL,
    CONSTRAINT evidence_key PRIMARY KEY (evidence_id)
);
CREATE INDEX evidence_by_operation ON evidence (bank, trace_date, trace_no);

-- Who is signed on: the latest row of a bank wins.
CREATE TABLE sign_event (
    sign_event_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    bank text NOT NULL,
    kind text NOT NULL,
    trace_date date NOT NULL,
    trace_no text NOT NULL,
    signed_on boolean NOT NULL,
    clearing_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    trace_id text NOT NULL,
    CONSTRAINT sign_event_key PRIMARY KEY (sign_event_id)
);
CREATE INDEX sign_event_latest ON sign_event (bank, sign_event_id DESC);

GRANT SELECT, INSERT ON clearing_day, customer, receivable, payment, entry, operation, evidence, sign_event TO busbar_gateway;
GRANT UPDATE (prepayment_balance_fen) ON customer TO busbar_gateway;
GRANT UPDATE (received_principal_fen, received_penalty_fen) ON receivable TO busbar_gateway;
GRANT USAGE ON SEQUENCE payment_id_sequence TO busbar_gateway;
