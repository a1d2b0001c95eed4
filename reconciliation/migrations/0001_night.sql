-- The night's own book. Rows are inserted and never changed, but for the state of a run; its epoch is the lock that
-- lets one night write. Customer numbers stand in the records of `break` and nowhere else; people see them masked.

-- One row a clearing date with bank '*' (the whole night: its epoch, the ledger's evidence) and one a bank.
CREATE TABLE run (
    bank text NOT NULL,
    clearing_date date NOT NULL,
    epoch integer NOT NULL,
    state text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    result jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT run_key PRIMARY KEY (bank, clearing_date),
    CONSTRAINT run_epoch_positive CHECK (epoch > 0),
    CONSTRAINT run_state_valid CHECK (state IN ('running', 'done', 'file_error', 'failed'))
);

-- Every settlement file that was looked at, with the verdict. A number that was accepted is used up.
CREATE TABLE file (
    bank text NOT NULL,
    clearing_date date NOT NULL,
    sequence integer NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    byte_count bigint NOT NULL,
    verdict text NOT NULL,
    failed_check text NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT file_key PRIMARY KEY (bank, clearing_date, name, digest, verdict),
    CONSTRAINT file_digest_valid CHECK (digest ~ '^[0-9a-f]{64}$'),
    CONSTRAINT file_verdict_valid CHECK (verdict IN ('accepted', 'refused') AND (verdict = 'accepted') = (failed_check = ''))
);
CREATE UNIQUE INDEX file_accepted_once ON file (bank, clearing_date, sequence) WHERE verdict = 'accepted';

CREATE TABLE break (
    break_id text NOT NULL,
    bank text NOT NULL,
    clearing_date date NOT NULL,
    kind text NOT NULL,
    difference_fen bigint NOT NULL,
    bank_record jsonb,
    utility_record jsonb,
    detail text NOT NULL,
    rank integer NOT NULL,
    side text NOT NULL,
    first_seen_date date NOT NULL,
    supersedes text,
    netted_over_days boolean NOT NULL,
    bill_state text NOT NULL,
    differs text NOT NULL,
    proposed_match text,
    explanation_chinese text NOT NULL,
    explanation_english text NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT break_key PRIMARY KEY (break_id),
    CONSTRAINT break_id_valid CHECK (break_id ~ '^[0-9a-f]{32}$'),
    CONSTRAINT break_kind_valid CHECK (kind IN ('BANK_ONLY', 'UTILITY_ONLY', 'AMOUNT_MISMATCH', 'DUPLICATE_BANK',
        'DUPLICATE_UTILITY', 'CROSS_DAY', 'STATUS_MISMATCH', 'CUSTOMER_MISMATCH', 'CHANNEL_MISMATCH', 'FILE_ERROR')),
    CONSTRAINT break_side_valid CHECK (side IN ('', 'BANK', 'UTILITY')),
    CONSTRAINT break_has_record CHECK (kind = 'FILE_ERROR' OR num_nonnulls(bank_record, utility_record) > 0)
);
CREATE INDEX break_by_day ON break (bank, clearing_date);

-- What happened to a break, in order. The latest of opened, reopened, superseded and withdrawn is its state.
CREATE TABLE break_event (
    event_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    break_id text NOT NULL,
    event text NOT NULL,
    cause text NOT NULL,
    happened_at timestamptz NOT NULL,
    CONSTRAINT break_event_key PRIMARY KEY (event_no),
    CONSTRAINT break_event_of_break FOREIGN KEY (break_id) REFERENCES break (break_id),
    CONSTRAINT break_event_valid CHECK (event IN ('opened', 'reopened', 'superseded', 'withdrawn', 'aged'))
);
CREATE INDEX break_event_by_break ON break_event (break_id, event_no DESC);

CREATE VIEW break_state AS
SELECT DISTINCT ON (break_event.break_id)
    break_event.break_id,
    CASE WHEN break_event.event IN ('opened', 'reopened') THEN 'open' ELSE break_event.event END AS state,
    break_event.cause
FROM break_event
WHERE break_event.event <> 'aged'
ORDER BY break_event.break_id, break_event.event_no DESC;

GRANT SELECT, INSERT ON run, file, break, break_event TO busbar_night;
GRANT SELECT ON break_state TO busbar_night;
GRANT UPDATE (epoch, state, evidence, result, changed_at) ON run TO busbar_night;
