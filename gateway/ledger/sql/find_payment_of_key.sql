-- Whether this partition has a payment or deposit under the bank's trace. $1 bank, $2 trace date, $3 trace number.
SELECT true
FROM payment
WHERE bank = $1 AND kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT') AND trace_date = $2 AND trace_no = $3
