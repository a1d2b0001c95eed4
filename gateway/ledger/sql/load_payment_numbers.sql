SELECT payment_number.customer_no, payment_number.payment_no
FROM busbar.payment_number;
