SELECT count(*) FROM event_dead_letter AS letter WHERE letter.subscriber = $1 AND letter.state = 'DEAD';
