SELECT nextval('payment_id_sequence') AS payment_id
FROM generate_series(1, $1::integer);
