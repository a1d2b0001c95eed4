-- Running sums, as new values: their customer's row is locked, so nobody else has changed them since they were read.
UPDATE receivable
SET received_principal_fen = new.received_principal_fen, received_penalty_fen = new.received_penalty_fen
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS new (receivable_id, received_principal_fen, received_penalty_fen)
WHERE receivable.receivable_id = new.receivable_id;
