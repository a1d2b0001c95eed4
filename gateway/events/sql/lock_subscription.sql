SELECT true FROM event_subscription WHERE event_subscription.subscriber = $1 FOR UPDATE;
