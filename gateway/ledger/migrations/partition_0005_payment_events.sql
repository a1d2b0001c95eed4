-- Payment events: the rows of `payment` are the outbox, so that an event is committed with its payment and costs the
-- lane nothing. They are read in the order of recording_no, which is the order of each customer's postings. The cursor
-- is a plain number, not a transaction id: it means the same after a dump is restored on another server.
ALTER TABLE payment ADD CONSTRAINT payment_recorded_once UNIQUE (recording_no);

-- Up to where each subscriber was told (every event up to there was taken, or stands in event_dead_letter), and which
-- session tells it at the moment. A new epoch fences whoever had the lease before.
CREATE TABLE event_subscription (
    subscriber text NOT NULL,
    subscribed_at timestamptz NOT NULL,
    handled_recording_no bigint NOT NULL,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_backend_pid integer NOT NULL DEFAULT 0,
    lease_expires_at timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT event_subscription_key PRIMARY KEY (subscriber),
    CONSTRAINT event_subscription_name_valid CHECK (length(subscriber) BETWEEN 1 AND 40),
    CONSTRAINT event_subscription_not_negative CHECK (handled_recording_no >= 0 AND lease_epoch >= 0)
) WITH (fillfactor = 50);

-- Events that were set aside so that other customers' could go on. A customer's open ones are a queue: its head is
-- tried again (TRYING) or waits for a person (DEAD), the others stand behind it (BEHIND).
CREATE TABLE event_dead_letter (
    subscriber text NOT NULL,
    recording_no bigint NOT NULL,
    customer_no text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    set_aside_at timestamptz NOT NULL,
    trying_since timestamptz NOT NULL,
    next_try_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT event_dead_letter_key PRIMARY KEY (subscriber, recording_no),
    CONSTRAINT event_dead_letter_of_subscription FOREIGN KEY (subscriber) REFERENCES event_subscription (subscriber),
    CONSTRAINT event_dead_letter_of_payment FOREIGN KEY (recording_no) REFERENCES payment (recording_no),
    CONSTRAINT event_dead_letter_state_valid CHECK (state IN ('TRYING', 'BEHIND', 'DEAD', 'DELIVERED', 'DISCARDED')),
    CONSTRAINT event_dead_letter_closed_valid CHECK ((state IN ('DELIVERED', 'DISCARDED')) = (closed_at IS NOT NULL)),
    CONSTRAINT event_dead_letter_attempts_valid CHECK (attempts >= 0)
);
CREATE UNIQUE INDEX event_dead_letter_one_head ON event_dead_letter (subscriber, customer_no)
WHERE state IN ('TRYING', 'DEAD');
CREATE INDEX event_dead_letter_queue ON event_dead_letter (subscriber, customer_no, recording_no)
WHERE state IN ('TRYING', 'BEHIND', 'DEAD');
CREATE INDEX event_dead_letter_due ON event_dead_letter (subscriber, next_try_at) WHERE state = 'TRYING';

-- What an event says; what a posting settled of each bill is read beside it.
CREATE VIEW payment_event AS
SELECT
    payment.recording_no,
    payment.payment_id,
    payment.reference_no,
    payment.kind,
    payment.customer_no,
    payment.amount_fen,
    payment.currency,
    payment.bank,
    payment.channel,
    payment.paid_at,
    payment.recorded_at,
    payment.clearing_date,
    payment.prepayment_movement_fen,
    original.reference_no AS original_reference_no
FROM payment
LEFT JOIN payment AS original ON original.payment_id = payment.original_payment_id;

GRANT SELECT, INSERT ON event_subscription, event_dead_letter TO busbar_gateway;
GRANT UPDATE (handled_recording_no, lease_epoch, lease_backend_pid, lease_expires_at)
ON event_subscription TO busbar_gateway;
GRANT UPDATE (state, reason, attempts, trying_since, next_try_at, closed_at) ON event_dead_letter TO busbar_gateway;
GRANT SELECT ON payment_event TO busbar_gateway;
