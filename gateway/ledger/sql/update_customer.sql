UPDATE customer
SET prepayment_balance_fen = new.prepayment_balance_fen
FROM unnest($1::text[], $2::bigint[]) AS new (customer_no, prepayment_balance_fen)
WHERE customer.customer_no = new.customer_no;
