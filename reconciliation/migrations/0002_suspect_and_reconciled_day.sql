-- A payment that one side alone has while its end is still in doubt is SUSPECT until the T+2 file.
ALTER TABLE break DROP CONSTRAINT break_kind_valid;
ALTER TABLE break ADD CONSTRAINT break_kind_valid CHECK (kind IN ('BANK_ONLY', 'UTILITY_ONLY', 'AMOUNT_MISMATCH',
    'DUPLICATE_BANK', 'DUPLICATE_UTILITY', 'CROSS_DAY', 'STATUS_MISMATCH', 'CUSTOMER_MISMATCH', 'CHANNEL_MISMATCH',
    'SUSPECT', 'FILE_ERROR'));

-- A bank's day is reconciled once: the first file whose match was recorded says when. A replacement changes its breaks,
-- not this.
CREATE TABLE reconciled_day (
    bank text NOT NULL,
    clearing_date date NOT NULL,
    cause text NOT NULL,
    reconciled_at timestamptz NOT NULL,
    CONSTRAINT reconciled_day_key PRIMARY KEY (bank, clearing_date)
);
INSERT INTO reconciled_day (bank, clearing_date, cause, reconciled_at)
SELECT run.bank, run.clearing_date, coalesce(run.result ->> 'file', ''), run.changed_at
FROM run
WHERE run.bank <> '*' AND run.state = 'done';

GRANT SELECT, INSERT ON reconciled_day TO busbar_night;
