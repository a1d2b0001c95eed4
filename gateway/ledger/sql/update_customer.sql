UPDATE customer
SET prepayment_balance_fen = ($2::bigint[])[array_position($1::text[], customer.customer_no)]
WHERE customer.customer_no = ANY($1::text[]);
