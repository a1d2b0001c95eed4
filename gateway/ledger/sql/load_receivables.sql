-- What is open, and what an operation names or an original settled ($2 receivables, $3 billing months).
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
    );
