SELECT
    customer.customer_no,
    customer.payment_no,
    customer.name,
    customer.supply_address,
    customer.org_code,
    customer.customer_class,
    customer.usage_category,
    customer.penalty_exempt,
    customer.prepayment_balance_fen
FROM customer
WHERE customer.customer_no = ANY($1::text[]);
