UPDATE event_subscription
SET lease_expires_at = '-infinity', lease_backend_pid = 0
WHERE event_subscription.subscriber = $1 AND event_subscription.lease_epoch = $2;
