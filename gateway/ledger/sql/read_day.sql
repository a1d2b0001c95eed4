-- The clearing day and who is signed on; only after the clearing lock is held, hence a statement of its own.
SELECT
    (SELECT max(clearing_day.clearing_date) FROM clearing_day) AS clearing_date,
    ARRAY(
        SELECT bank.code
        FROM unnest($1::text[]) AS bank (code)
        WHERE (
            SELECT sign_event.signed_on
            FROM sign_event
            WHERE sign_event.bank = bank.code
            ORDER BY sign_event.sign_event_id DESC
            LIMIT 1
        )
    ) AS signed_on;
