SELECT
    (SELECT count(*) FROM customer) AS customers,
    (SELECT count(*) FROM receivable) AS bills,
    (SELECT count(*) FROM payment) AS payments,
    (SELECT count(*) FROM entry) AS entries,
    (SELECT count(*) FROM operation) AS operations,
    (SELECT count(*) FROM evidence) AS evidence;
