SELECT
    event_subscription.subscriber,
    event_subscription.subscribed_at,
    event_subscription.handled_recording_no,
    event_subscription.lease_expires_at > clock_timestamp() AS is_served,
    waiting.events AS waiting,
    waiting.oldest_recorded_at,
    letters.trying,
    letters.behind,
    letters.dead
FROM event_subscription
CROSS JOIN LATERAL (
    SELECT count(*) AS events, min(payment.recorded_at) AS oldest_recorded_at
    FROM payment
    WHERE payment.recording_no > event_subscription.handled_recording_no
) AS waiting
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE letter.state = 'TRYING') AS trying,
        count(*) FILTER (WHERE letter.state = 'BEHIND') AS behind,
        count(*) FILTER (WHERE letter.state = 'DEAD') AS dead
    FROM event_dead_letter AS letter
    WHERE letter.subscriber = event_subscription.subscriber AND letter.state IN ('TRYING', 'BEHIND', 'DEAD')
) AS letters
ORDER BY event_subscription.subscriber;
