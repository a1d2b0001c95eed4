-- Figures from elsewhere that the receipts report must agree with. Reads payment, receipt_line, due_from_bank and
-- prepayment. By org unit the money is taken from the receivables' units and the payers', not from the postings' sums.
SELECT
    (SELECT coalesce(sum(fen), 0) FROM (
        SELECT org_code, sum(principal_fen + penalty_fen) AS fen FROM receipt_line GROUP BY org_code
        UNION ALL SELECT org_code, sum(prepayment_movement_fen) FROM payment GROUP BY org_code)) AS by_org_unit_fen,
    (SELECT coalesce(sum(fen), 0) FROM (SELECT sum(signed_fen) AS fen FROM payment GROUP BY channel))
        AS by_channel_fen,
    (SELECT coalesce(sum(fen), 0) FROM (
        SELECT sum(amount_fen) AS fen FROM due_from_bank
        WHERE clearing_date = $clearing_date AND kind = ANY($posting_kinds) GROUP BY bank)) AS by_bank_fen,
    (SELECT coalesce(sum(opening_fen), 0) FROM prepayment) AS opening_prepayment_fen,
    (SELECT coalesce(sum(closing_fen), 0) FROM prepayment) AS closing_prepayment_fen
