-- The tie-out of one bank and day: every term re-derived from the evidence alone, in plain SQL.
-- Reads the views bank_line, payment, pool and due_from_bank. Amounts are fen; d and n are the date and the number of
-- the payment that a line or a posting is about.
WITH
posting AS (
    SELECT
        pays,
        CASE WHEN pays THEN trace_date ELSE original_trace_date END AS d,
        CASE WHEN pays THEN trace_no ELSE original_trace_no END AS n,
        CASE WHEN pays THEN reference_no ELSE original_reference_no END AS about,
        trace_date, trace_no, customer_no, signed_fen, recorded_at
    FROM (SELECT *, kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') AS pays FROM payment)
),
line AS (
    SELECT
        line_no, trace_date, trace_no, customer_no, receivable_id, billing_month, charge_kind, amount_fen,
        kind = 'PAY' AS pays,
        CASE WHEN kind = 'PAY' THEN amount_fen ELSE -amount_fen END AS signed_fen,
        CASE WHEN kind = 'PAY' THEN trace_date ELSE coalesce(
            original_trace_date,
            (SELECT min(p.d) FROM posting p WHERE p.about = original_reference_no),
            (SELECT min(q.key_date) FROM pool q WHERE q.reference_no = original_reference_no),
            (SELECT min(p.d) FROM posting p
             WHERE NOT p.pays AND p.trace_date = bank_line.trace_date AND p.trace_no = bank_line.trace_no),
            trace_date) END AS d,
        CASE WHEN kind = 'PAY' THEN trace_no ELSE coalesce(
            original_trace_no,
            (SELECT min(p.n) FROM posting p WHERE p.about = original_reference_no),
            (SELECT min(q.key_no) FROM pool q WHERE q.reference_no = original_reference_no),
            (SELECT min(p.n) FROM posting p
             WHERE NOT p.pays AND p.trace_date = bank_line.trace_date AND p.trace_no = bank_line.trace_no),
            trace_no) END AS n
    FROM bank_line
),
-- A line may match unless it repeats an earlier one, or stands under the key of an earlier line of another payer.
head AS (
    SELECT pays, d, n, arg_min(trace_date, line_no) AS trace_date, arg_min(trace_no, line_no) AS trace_no,
        arg_min(customer_no, line_no) AS customer_no
    FROM line GROUP BY pays, d, n
),
first_alike AS (
    SELECT min(line_no) AS line_no FROM line
    GROUP BY pays, d, n, trace_date, trace_no, customer_no, receivable_id, billing_month, charge_kind,
        CASE WHEN receivable_id IS NULL THEN amount_fen END
),
bank_main_line AS (
    SELECT l.* FROM line l
    SEMI JOIN first_alike f ON f.line_no = l.line_no
    SEMI JOIN head h ON h.pays = l.pays AND h.d = l.d AND h.n = l.n
        AND h.trace_date = l.trace_date AND h.trace_no = l.trace_no AND h.customer_no = l.customer_no
),
bank_main AS (SELECT pays, d, n, sum(signed_fen) AS fen FROM bank_main_line GROUP BY pays, d, n),
-- Of several postings under one trace the one may match whose customer the bank names, else one that still stands.
standing AS (
    SELECT p.d, p.n, p.about,
        max(CASE WHEN h.customer_no <> p.customer_no THEN 1 ELSE 0 END) AS stranger,
        max(CASE WHEN p.pays THEN 0 ELSE 1 END) AS undone,
        min(p.recorded_at) AS recorded_at
    FROM posting p LEFT JOIN head h ON h.pays AND h.d = p.d AND h.n = p.n
    GROUP BY p.d, p.n, p.about
),
chosen AS (
    SELECT DISTINCT ON (d, n) d, n, about FROM standing ORDER BY d, n, stranger, undone, recorded_at, about
),
utility_main AS (
    SELECT p.pays, p.d, p.n, sum(p.signed_fen) AS fen
    FROM posting p SEMI JOIN chosen c ON c.d = p.d AND c.n = p.n AND c.about = p.about
    GROUP BY p.pays, p.d, p.n
),
bank_alone AS (
    SELECT b.*, EXISTS (SELECT 1 FROM pool q WHERE q.side = 'UTILITY' AND (q.direction = 'PAY') = b.pays
        AND q.key_date = b.d AND q.key_no = b.n) AS pooled
    FROM bank_main b ANTI JOIN utility_main u ON u.pays = b.pays AND u.d = b.d AND u.n = b.n
),
utility_alone AS (
    SELECT u.*, EXISTS (SELECT 1 FROM pool q WHERE q.side = 'BANK' AND (q.direction = 'PAY') = u.pays
        AND q.key_date = u.d AND q.key_no = u.n) AS pooled
    FROM utility_main u ANTI JOIN bank_main b ON b.pays = u.pays AND b.d = u.d AND b.n = u.n
),
-- What stands alone and is no pair of a payment and its undo on the same side.
bank_left AS (
    SELECT a.* FROM bank_alone a WHERE NOT a.pooled AND NOT EXISTS (
        SELECT 1 FROM bank_alone o
        WHERE o.pays <> a.pays AND o.d = a.d AND o.n = a.n AND NOT o.pooled AND o.fen + a.fen = 0)
),
utility_left AS (
    SELECT a.* FROM utility_alone a WHERE NOT a.pooled AND NOT EXISTS (
        SELECT 1 FROM utility_alone o
        WHERE o.pays <> a.pays AND o.d = a.d AND o.n = a.n AND NOT o.pooled AND o.fen + a.fen = 0)
)
SELECT
    (SELECT coalesce(sum(fen), 0) FROM bank_left WHERE pays) AS bank_only_fen,
    (SELECT coalesce(sum(fen), 0) FROM utility_left WHERE pays) AS utility_only_fen,
    (SELECT coalesce(sum(b.fen - u.fen), 0) FROM bank_main b JOIN utility_main u
        ON u.pays = b.pays AND u.d = b.d AND u.n = b.n) AS pair_difference_fen,
    (SELECT coalesce(sum(fen), 0) FROM bank_alone WHERE pooled) AS cross_day_in_fen,
    (SELECT coalesce(sum(fen), 0) FROM utility_alone WHERE pooled) AS cross_day_out_fen,
    (SELECT coalesce(sum(signed_fen), 0) FROM line) - (SELECT coalesce(sum(fen), 0) FROM bank_main)
        AS duplicate_bank_fen,
    (SELECT coalesce(sum(signed_fen), 0) FROM posting) - (SELECT coalesce(sum(fen), 0) FROM utility_main)
        AS duplicate_utility_fen,
    (SELECT coalesce(sum(fen), 0) FROM bank_left WHERE NOT pays)
        - (SELECT coalesce(sum(fen), 0) FROM utility_left WHERE NOT pays) AS status_effect_fen,
    (SELECT coalesce(sum(amount_fen), 0) FROM due_from_bank
        WHERE clearing_date = $clearing_date AND kind = ANY($posting_kinds)) AS utility_net_fen,
    (SELECT coalesce(sum(amount_fen), 0) FROM due_from_bank WHERE settles_date = $clearing_date) AS due_from_bank_fen,
    (SELECT coalesce(sum(amount_fen), 0) FROM due_from_bank
        WHERE settles_date = $clearing_date AND NOT kind = ANY($posting_kinds)) AS treatments_fen
