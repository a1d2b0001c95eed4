SELECT
    bank, kind, trace_date, trace_no, customer_no, amount_fen, cause, clearing_date, opened_at, age_seconds, trace_id,
    is_open, our_side, bank_side, absent_days, closed_at, closed_by, closed_detail, next_action
FROM published_unresolved
WHERE ($1::text IS NULL OR bank = $1) AND ($2::boolean OR is_open)
ORDER BY opened_at, unresolved_id
