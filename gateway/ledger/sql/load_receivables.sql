-- What is open, what an undoing may have left open in its penalty alone, and what an operation names or an original
-- settled ($2 receivables, $3 billing months). The subquery is run at most once, and only for a bill that is paid.
SELECT
    receivable.receivable_id,
    receivable.customer_no,
    receivable.billing_month,
    receivable.charge_kind,
    receivable.org_code,
    receivable.principal_fen,
    receivable.due_date,
    receivable.partial_payment_allowed,
    receivable.locked,
    receivable.received_principal_fen,
    receivable.received_penalty_fen
FROM receivable
WHERE
    receivable.customer_no = ANY($1::text[])
    AND (
        receivable.received_principal_fen < receivable.principal_fen
        OR receivable.receivable_id = ANY($2::text[])
        OR receivable.billing_month = ANY($3::integer[])
        OR receivable.receivable_id IN (
            SELECT entry.receivable_id
            FROM payment
            JOIN entry ON entry.payment_id = payment.payment_id
            WHERE payment.customer_no = ANY($1::text[]) AND payment.original_payment_id IS NOT NULL
        )
    );
