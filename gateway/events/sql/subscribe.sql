-- A subscription begins once; later starts find it.
INSERT INTO event_subscription (subscriber, subscribed_at, handled_recording_no)
VALUES ($1, $2, $3)
ON CONFLICT (subscriber) DO NOTHING;
