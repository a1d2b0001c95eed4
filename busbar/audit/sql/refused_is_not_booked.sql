-- A key that was both acknowledged and refused was used again for something else: the refusal is of that.
SELECT
    pg_temp.key_name(acknowledged.bank, acknowledged.kind, acknowledged.trace_date, acknowledged.trace_no) AS place,
    format(
        'refused for good to the bank (%s), and booked as payment %s of partition %s',
        acknowledged.source, every_payment.payment_id, every_payment.partition
    ) AS finding,
    count(*) OVER () AS offences
FROM acknowledged
JOIN every_payment
    ON every_payment.bank = acknowledged.bank
    AND every_payment.operation_kind = acknowledged.kind
    AND every_payment.trace_date = acknowledged.trace_date
    AND every_payment.trace_no = acknowledged.trace_no
WHERE acknowledged.outcome_class = 'final_refusal'
    AND NOT EXISTS (
        SELECT
        FROM acknowledged AS success
        WHERE success.outcome_class = 'success'
            AND success.bank = acknowledged.bank
            AND success.kind = acknowledged.kind
            AND success.trace_date = acknowledged.trace_date
            AND success.trace_no = acknowledged.trace_no
    )
ORDER BY acknowledged.bank, acknowledged.trace_date, acknowledged.trace_no
LIMIT $1::bigint;
