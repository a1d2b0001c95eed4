-- Running sums, as new values: their customer's row is locked, so nobody else has changed them since they were read.
-- By position instead of a join, so that the index is the only way there.
UPDATE receivable
SET
    received_principal_fen = ($2::bigint[])[array_position($1::text[], receivable.receivable_id)],
    received_penalty_fen = ($3::bigint[])[array_position($1::text[], receivable.receivable_id)]
WHERE receivable.receivable_id = ANY($1::text[]);
