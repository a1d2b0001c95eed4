-- Nobody who has lost the lease gets past this row, and whoever is past it has it until the transaction ends.
UPDATE event_subscription
SET
    handled_recording_no = coalesce($4::bigint, event_subscription.handled_recording_no),
    lease_expires_at = clock_timestamp() + make_interval(secs => $3::double precision)
WHERE event_subscription.subscriber = $1 AND event_subscription.lease_epoch = $2
RETURNING event_subscription.handled_recording_no;
