INSERT INTO sign_event (bank, kind, trace_date, trace_no, signed_on, trace_id, clearing_date, recorded_at)
SELECT new.bank, new.kind, new.trace_date, new.trace_no, new.signed_on, new.trace_id, $7::date, $8::timestamptz
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::boolean[], $6::text[])
    AS new (bank, kind, trace_date, trace_no, signed_on, trace_id);
