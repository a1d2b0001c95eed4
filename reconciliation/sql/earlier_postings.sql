-- Payments of earlier days that were reconciled already, under some traces of a bank.
SELECT trace_date, trace_no, clearing_date, reference_no
FROM published_payment
JOIN unnest($3::date[], $4::text[]) AS asked (asked_date, asked_no) ON trace_date = asked_date AND trace_no = asked_no
WHERE bank = $2 AND kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') AND clearing_date < $1 AND clearing_date = ANY($5::date[])
ORDER BY trace_date, trace_no, clearing_date
