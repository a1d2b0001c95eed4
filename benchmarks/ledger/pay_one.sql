-- One payment of one named bill in one call: what a lane does for a batch, done the usual way, for pgbench to call.
-- The same tables, indexes, constraints and rights; the same steps in the same order; each row as the lane writes it.
-- {schema}, {partition} and {clearing_lock} are put in by the benchmark. Two things are left to the caller's advantage:
-- the request's bytes come deflated, and nobody asks whether the bank has signed on.
CREATE FUNCTION {schema}.benchmark_pay_one(number bigint, paid_fen bigint, packed_request bytea) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    payer_no CONSTANT text := 'P' || lpad(number::text, 9, '0');
    bill_id CONSTANT text := 'PR' || lpad(number::text, 12, '0');
    new_trace_no CONSTANT text := lpad(number::text, 12, '0');
    new_trace_id CONSTANT text := lpad(to_hex(number), 32, '0');
    trace_day CONSTANT date := DATE '2024-04-05';
    paid_moment CONSTANT timestamptz := TIMESTAMPTZ '2024-04-05 11:28:54+08';
    content_digest CONSTANT bytea := sha256(convert_to(concat_ws(
        E'\x1f', 'Payment', payer_no, bill_id, 'None', paid_fen, '112854', 'MOBILE_BANK', 'TRANSFER', '440106000012',
        'T0231'
    ), 'UTF8'));
    moment timestamptz;
    day date;
    payer record;
    seen record;
    bill record;
    owed_fen bigint;
    penalty_fen bigint := 0;
    new_id bigint;
    reference text;
    answer jsonb;
BEGIN
    PERFORM pg_advisory_xact_lock_shared({clearing_lock}, {partition});
    SELECT max(clearing_day.clearing_date) INTO day FROM {schema}.clearing_day;
    SELECT
        customer.org_code, customer.usage_category, customer.penalty_exempt, customer.prepayment_balance_fen,
        customer.name, customer.supply_address, customer.customer_class
    INTO payer
    FROM {schema}.customer
    WHERE customer.customer_no = payer_no
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such customer';
    END IF;
    SELECT operation.digest, operation.outcome, operation.fence
    INTO seen
    FROM {schema}.operation
    WHERE
        operation.bank = 'PGBENCH' AND operation.kind = 'PAYMENT'
        AND operation.trace_date = trace_day AND operation.trace_no = new_trace_no;
    IF FOUND THEN
        IF seen.fence OR seen.digest = content_digest THEN
            RETURN seen.outcome ->> 'reference_no';
        END IF;
        RAISE EXCEPTION 'duplicate trace';
    END IF;
    SELECT
        receivable.billing_month, receivable.charge_kind, receivable.org_code, receivable.principal_fen,
        receivable.due_date, receivable.partial_payment_allowed, receivable.locked, receivable.received_principal_fen,
        receivable.received_penalty_fen
    INTO bill
    FROM {schema}.receivable
    WHERE receivable.receivable_id = bill_id AND receivable.customer_no = payer_no;
    IF NOT FOUND OR bill.locked THEN
        RAISE EXCEPTION 'no such bill, or in a batch debit';
    END IF;
    owed_fen := bill.principal_fen - bill.received_principal_fen;
    IF owed_fen <= 0 THEN
        RAISE EXCEPTION 'already paid';
    END IF;
    IF NOT payer.penalty_exempt AND paid_moment::date > bill.due_date THEN
        -- Residential rate of 1 per mille a day, at most the principal, at least one yuan, half up.
        penalty_fen := (owed_fen * (paid_moment::date - bill.due_date) * 1000 + 500000) / 1000000;
        penalty_fen := greatest(least(penalty_fen, bill.principal_fen), 100) - bill.received_penalty_fen;
    END IF;
    IF paid_fen <> owed_fen + penalty_fen THEN
        RAISE EXCEPTION 'amount is not what is owed';
    END IF;
    new_id := nextval('{schema}.payment_id_sequence');
    reference := lpad('{partition}', 2, '0') || lpad(new_id::text, 10, '0');
    answer := jsonb_build_object(
        'result', 'approved', 'clearing_date', day, 'reference_no', reference,
        'amount', jsonb_build_array(paid_fen, 'CNY'),
        'detail', jsonb_build_object(
            'kind', 'receipt',
            'lines', jsonb_build_array(jsonb_build_array(
                bill_id, bill.billing_month, jsonb_build_array(owed_fen, 'CNY'), jsonb_build_array(penalty_fen, 'CNY')
            )),
            'prepayment', jsonb_build_array(0, 'CNY')
        )
    );
    moment := clock_timestamp();
    INSERT INTO {schema}.operation (
        bank, kind, trace_date, trace_no, customer_no, digest, outcome, payment_id, fence, trace_id, clearing_date,
        recorded_at
    )
    VALUES (
        'PGBENCH', 'PAYMENT', trace_day, new_trace_no, payer_no, content_digest, answer, new_id, false, new_trace_id,
        day, moment
    );
    INSERT INTO {schema}.payment (
        payment_id, kind, bank, trace_date, trace_no, customer_no, org_code, amount_fen, channel, settle_method, outlet,
        operator, paid_at, paid_date, clearing_date, settles_date, reference_no, original_payment_id,
        prepayment_opening_fen, prepayment_movement_fen, prepayment_closing_fen, trace_id, currency, recorded_at
    )
    VALUES (
        new_id, 'PAYMENT', 'PGBENCH', trace_day, new_trace_no, payer_no, payer.org_code, paid_fen, 'MOBILE_BANK',
        'TRANSFER', '440106000012', 'T0231', paid_moment, paid_moment::date, day, day, reference, NULL,
        payer.prepayment_balance_fen, 0, payer.prepayment_balance_fen, new_trace_id, 'CNY', moment
    );
    INSERT INTO {schema}.entry (
        payment_id, line_no, account, amount_fen, bank, channel, clearing_date, settles_date, receivable_id,
        billing_month, charge_kind, org_code, currency
    )
    SELECT
        new_id, line.line_no, line.account, line.amount_fen, 'PGBENCH', 'MOBILE_BANK', day, day, line.receivable_id,
        line.billing_month, line.charge_kind, line.org_code, 'CNY'
    FROM (
        VALUES
            (1, 'DUE_FROM_BANK', paid_fen, NULL, NULL, NULL, payer.org_code),
            (2, 'RECEIVABLE', -owed_fen, bill_id, bill.billing_month, bill.charge_kind, bill.org_code),
            (3, 'PENALTY_INCOME', -penalty_fen, bill_id, bill.billing_month, bill.charge_kind, bill.org_code)
    ) AS line (line_no, account, amount_fen, receivable_id, billing_month, charge_kind, org_code)
    WHERE line.amount_fen <> 0;
    INSERT INTO {schema}.evidence (
        bank, kind, trace_date, trace_no, trace_id, key_id, wire, received_at, outcome, request, clearing_date,
        recorded_at
    )
    VALUES (
        'PGBENCH', 'PAYMENT', trace_day, new_trace_no, new_trace_id, 'benchmark', 'iso8583', moment, answer,
        packed_request, day, moment
    );
    UPDATE {schema}.receivable
    SET
        received_principal_fen = receivable.received_principal_fen + owed_fen,
        received_penalty_fen = receivable.received_penalty_fen + penalty_fen
    WHERE receivable.receivable_id = bill_id;
    RETURN reference;
END;
$$;
