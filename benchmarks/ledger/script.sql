-- What every client of pgbench does for one payment. Given: first (number of the first bill of this turn) and
-- share (payments a client makes); paid counts on from one payment of a client to the next. Bills and amounts are those of
-- world.py. Bills lie in the two partitions in turn, so that both have the same load.
\set number :first + :client_id * :share + :paid
\set paid :paid + 1
\set principal 1000 + (:number * 7919) % 50000
\set penalty CASE WHEN :number % 4 = 0 THEN greatest(100, (:principal * 10 + 500) / 1000) ELSE 0 END
\set amount :principal + :penalty
\set partition :number % 2
\if :partition
SELECT ledger_01.benchmark_pay_one(:number, :amount, decode(:request, 'hex'));
\else
SELECT ledger_00.benchmark_pay_one(:number, :amount, decode(:request, 'hex'));
\endif
