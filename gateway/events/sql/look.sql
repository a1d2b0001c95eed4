-- The newest booked number, and the transactions that were booking after that was seen: the statement's snapshot is
-- taken before the locks are read. Who books holds the partition's clearing lock, shared, from before its first number.
SELECT
    coalesce((SELECT max(payment.recording_no) FROM payment), 0) AS newest,
    ARRAY(
        SELECT held.virtualtransaction
        FROM pg_locks AS held
        WHERE held.locktype = 'advisory'
            AND held.database = (SELECT here.oid FROM pg_database AS here WHERE here.datname = current_database())
            AND held.classid = $1::integer::oid
            AND held.objid = $2::integer::oid
            AND held.objsubid = 2
            AND held.mode = 'ShareLock'
            AND held.granted
    ) AS booking;
