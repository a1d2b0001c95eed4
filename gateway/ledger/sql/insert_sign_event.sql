INSERT INTO sign_event (bank, kind, trace_date, trace_no, signed_on, trace_id, clearing_date, recorded_at)
SELECT new.bank, new.kind, new.trace_date, new.trace_no, new.signed_on, new.trace_id, $2::date, $3::timestamptz
FROM unnest($1::new_sign_event[]) AS new;
