SELECT customer.customer_no
FROM customer
WHERE customer.customer_no = ANY($1::text[]);
