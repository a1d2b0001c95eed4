-- Prepayment balances at the day's opening and end: the balance now, less what moved it since, in one statement, so
-- that the answer does not depend on when it is asked. The account's credits are negative.
SELECT $2::integer, (balance + later + of_day)::bigint, (balance + later)::bigint
FROM (
    SELECT
        (SELECT coalesce(sum(prepayment_balance_fen), 0) FROM published_customer) AS balance,
        coalesce(sum(amount_fen) FILTER (WHERE clearing_date > $1), 0) AS later,
        coalesce(sum(amount_fen) FILTER (WHERE clearing_date = $1), 0) AS of_day
    FROM published_entry
    WHERE account = 'PREPAYMENT' AND clearing_date >= $1
) AS moved
