SELECT
    format('entry %s of payment %s', entry.line_no, entry.payment_id) AS place,
    format(
        'entry: %s, %s, clears %s, settles %s; payment: %s, %s, clears %s, settles %s',
        entry.bank, entry.channel, entry.clearing_date, entry.settles_date,
        payment.bank, payment.channel, payment.clearing_date, payment.settles_date
    ) AS finding,
    count(*) OVER () AS offences
FROM entry
JOIN payment ON payment.payment_id = entry.payment_id
WHERE (entry.bank, entry.channel, entry.clearing_date, entry.settles_date)
    IS DISTINCT FROM (payment.bank, payment.channel, payment.clearing_date, payment.settles_date)
ORDER BY entry.payment_id, entry.line_no
LIMIT $1::bigint;
