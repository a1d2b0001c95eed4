-- Helpers of the audit's own session; nothing of them stays. Names and whole customer numbers never leave the database.

CREATE FUNCTION pg_temp.masked(customer_no text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(customer_no) > 8 THEN repeat('*', length(customer_no) - 4) || right(customer_no, 4) ELSE '****' END
$$;

CREATE FUNCTION pg_temp.key_name(bank text, kind text, trace_date date, trace_no text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT bank || ' ' || kind || ' ' || trace_date::text || ' ' || trace_no
$$;

CREATE FUNCTION pg_temp.operation_kind(payment_kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE payment_kind WHEN 'NEXT_DAY_REVERSAL' THEN 'REVERSAL' WHEN 'PREPAYMENT_DEPOSIT' THEN 'PAYMENT' ELSE payment_kind END
$$;

-- The home of a payment number: the first 8 bytes of its SHA-256, big endian, modulo the partitions. Two halves of 32
-- bits, as PostgreSQL has no unsigned 64 bits: (high * 2^32 + low) mod n.
CREATE FUNCTION pg_temp.home_of(payment_no text, partitions bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (
        (('x' || substr(digest.hex, 1, 8))::bit(32)::bigint % partitions) * (4294967296 % partitions)
        + ('x' || substr(digest.hex, 9, 8))::bit(32)::bigint % partitions
    ) % partitions
    FROM (SELECT encode(sha256(convert_to(payment_no, 'UTF8')), 'hex') AS hex) AS digest
$$;
