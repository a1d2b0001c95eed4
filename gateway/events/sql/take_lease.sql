-- Free is a lease that has run out, and one whose session is gone: after a crash nobody waits for the time to pass.
UPDATE event_subscription
SET
    lease_epoch = event_subscription.lease_epoch + 1,
    lease_backend_pid = pg_backend_pid(),
    lease_expires_at = clock_timestamp() + make_interval(secs => $2::double precision)
WHERE event_subscription.subscriber = $1
    AND (
        event_subscription.lease_expires_at <= clock_timestamp()
        OR NOT EXISTS (
            SELECT FROM pg_stat_activity AS session
            WHERE session.pid = event_subscription.lease_backend_pid
        )
    )
RETURNING event_subscription.lease_epoch, event_subscription.handled_recording_no;
