-- The receipts report's rows: detail, subtotal per bank, total, each summed from the postings by itself.
-- Reads the views payment and receipt_line. A payment that was undone on its own day is left out with what undid it and
-- shown as a memo; a next-day reversal is a negative row of its own. Prepayment that was applied to bills, or withdrawn from
-- them, by itself has no bank and is no receipt: it is received and comes from prepayment, and no cash moves. What is
-- withdrawn from a payment that is left out is left out with it.
WITH
undone_today AS (
    SELECT original_reference_no AS reference_no FROM payment WHERE kind IN ('SAME_DAY_CANCEL', 'REVERSAL')
),
settled AS (
    SELECT partition, payment_id,
        sum(principal_fen) FILTER (WHERE charge_kind = '010' AND billing_month >= $report_month) AS current_month_fen,
        sum(principal_fen) FILTER (WHERE charge_kind = '010' AND billing_month < $report_month
            AND billing_month // 100 = $report_month // 100) AS current_year_fen,
        sum(principal_fen) FILTER (WHERE charge_kind = '010' AND billing_month // 100 < $report_month // 100)
            AS prior_year_fen,
        sum(principal_fen) FILTER (WHERE charge_kind = '010') AS principal_fen,
        sum(penalty_fen) AS penalty_fen,
        sum(principal_fen) FILTER (WHERE charge_kind <> '010') AS other_fen,
        sum(principal_fen + penalty_fen) AS received_fen
    FROM receipt_line GROUP BY partition, payment_id
),
kinds AS (
    SELECT kind, kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') AS takes, kind IN ('SAME_DAY_CANCEL', 'REVERSAL') AS is_same_day,
        kind IN ('PREPAYMENT_APPLIED', 'PREPAYMENT_WITHDRAWN') AS is_internal
    FROM payment GROUP BY kind
),
booked AS (
    SELECT p.bank, p.channel, p.settle_method, p.customer_no, p.signed_fen,
        p.kind = 'NEXT_DAY_REVERSAL' AS is_reversal,
        k.takes AND u.reference_no IS NULL AS is_receipt,
        k.is_same_day,
        NOT k.is_same_day AND u.reference_no IS NULL AS counts,
        -- A payment puts money into prepayment or draws it; a reversal takes back what its payment did.
        CASE WHEN k.takes THEN greatest(p.prepayment_movement_fen, 0)
            WHEN k.is_internal THEN 0
            ELSE least(p.prepayment_movement_fen, 0) END AS prepayment_in_fen,
        CASE WHEN k.takes THEN greatest(-p.prepayment_movement_fen, 0)
            WHEN k.is_internal THEN -p.prepayment_movement_fen
            ELSE least(-p.prepayment_movement_fen, 0) END AS prepayment_applied_fen,
        s.*
    FROM payment p
    JOIN kinds k ON k.kind = p.kind
    LEFT JOIN undone_today u
        ON u.reference_no = CASE WHEN p.kind = 'PREPAYMENT_WITHDRAWN' THEN p.original_reference_no ELSE p.reference_no END
    LEFT JOIN settled s ON s.partition = p.partition AND s.payment_id = p.payment_id
)
SELECT
    CASE WHEN grouping(bank) = 1 THEN 'TOTAL' WHEN grouping(channel) = 1 THEN 'SUBTOTAL' ELSE 'DETAIL' END AS level,
    bank, channel, settle_method, is_reversal,
    count(*) FILTER (WHERE is_receipt) AS count,
    count(DISTINCT customer_no) FILTER (WHERE is_receipt) AS customer_count,
    coalesce(sum(current_month_fen) FILTER (WHERE counts), 0) AS principal_current_month,
    coalesce(sum(current_year_fen) FILTER (WHERE counts), 0) AS principal_current_year,
    coalesce(sum(prior_year_fen) FILTER (WHERE counts), 0) AS principal_prior_year,
    coalesce(sum(principal_fen) FILTER (WHERE counts), 0) AS principal_total,
    coalesce(sum(penalty_fen) FILTER (WHERE counts), 0) AS penalty,
    coalesce(sum(other_fen) FILTER (WHERE counts), 0) AS other_charges,
    coalesce(sum(prepayment_in_fen) FILTER (WHERE counts), 0) AS prepayment_in,
    coalesce(sum(prepayment_applied_fen) FILTER (WHERE counts), 0) AS prepayment_applied,
    coalesce(sum(received_fen) FILTER (WHERE counts), 0) AS received_total,
    coalesce(sum(signed_fen) FILTER (WHERE counts), 0) AS cash_total,
    count(*) FILTER (WHERE is_same_day) AS same_day_cancel_count,
    coalesce(-sum(signed_fen) FILTER (WHERE is_same_day), 0) AS same_day_cancel_amount,
    count(*) FILTER (WHERE is_reversal) AS next_day_reversal_count,
    coalesce(-sum(signed_fen) FILTER (WHERE is_reversal), 0) AS next_day_reversal_amount
FROM booked
GROUP BY GROUPING SETS ((bank, channel, settle_method, is_reversal), (bank), ())
ORDER BY bank NULLS LAST, grouping(channel), channel, settle_method, is_reversal
