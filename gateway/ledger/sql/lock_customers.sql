-- In key order, never waiting. NO KEY: an import that adds a bill (its foreign key takes KEY SHARE) is no conflict.
SELECT customer.customer_no
FROM customer
WHERE customer.customer_no = ANY($1::text[])
ORDER BY customer.customer_no
FOR NO KEY UPDATE SKIP LOCKED;
