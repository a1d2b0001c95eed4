-- What undid a customer's payments, so that bills which they opened again are found: such a bill may owe penalty alone.
CREATE INDEX payment_undoing_of_customer ON payment (customer_no) WHERE original_payment_id IS NOT NULL;
