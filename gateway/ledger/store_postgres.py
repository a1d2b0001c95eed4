"""A `Store` on PostgreSQL: one connection, one schema, one transaction a batch.

Strategy: the order of a batch is fixed (each step its own statement, as READ COMMITTED gives every statement a new look
at the data): clearing lock shared, clearing day, customers in key order with SKIP LOCKED, keys and state, inserts in
key order from arrays of rows, running sums, COMMIT. Rules:

- a statement touches the schema in `search_path` and nothing else, so the same SQL runs where schemas are spread;
- payment ids come from the schema's sequence in blocks and leftovers are kept: ten digits have to last;
- plans are made once and by index: the tables are empty when the first plan is made and huge later;
- a COMMIT that answers anything but "COMMIT", a rollback or a retry is an unknown result.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.database import Connection, DatabaseError, Pool, RetryTransaction, connect, load_sql
from gateway.ledger import rows
from gateway.ledger.booking import BrokenLedgerError
from gateway.ledger.model import PostedLine, Receivable, SettledLine, State
from gateway.ledger.partitions import home, schema_name
from gateway.ledger.store import CommitResult, Decided, Wanted
from gateway.operations import OperationKey

CLEARING_LOCK = 73_510  # first half of the advisory lock (this, partition) between postings and the cut-off
IDS_IN_BLOCK = 256
# A gateway that hangs inside a batch must not hold its customers and the cut-off for longer than this.
IDLE_IN_TRANSACTION_SECONDS = 30
SESSION_SETTINGS = {
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_SQL = "gateway.ledger.sql"


def _sql(name: str) -> str:
    return load_sql(_SQL, name)


class PostgresStore:
    """See `Store`. `partitions` is the installation's count: every customer's home is checked against it."""

    def __init__(self, connection: Connection, partition: int, partitions: int, currency: str) -> None:
        self._connection = connection
        self._partition = partition
        self._partitions = partitions
        self._currency = currency
        self._free_ids: deque[int] = deque()
        self._used_ids: set[int] = set()

    @property
    def connection(self) -> Connection:
        return self._connection

    async def begin(self) -> None:
        self._used_ids.clear()
        await self._connection.execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED; "
            f"SELECT pg_advisory_xact_lock_shared({CLEARING_LOCK:d}, {self._partition:d})"
        )

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        found = await self._connection.fetch(_sql("lock_customers"), list(customer_nos))
        missing = set(customer_nos).difference(row["customer_no"] for row in found)
        if not missing:
            return frozenset()
        held = await self._connection.fetch(_sql("find_customers"), sorted(missing))
        return frozenset(row["customer_no"] for row in held)

    async def load(self, wanted: Wanted) -> State:
        state = await load_state(self._connection, self._partition, self._partitions, wanted)
        if len(self._free_ids) < wanted.ids_needed:
            found = await self._connection.fetch(_sql("reserve_payment_ids"), max(IDS_IN_BLOCK, wanted.ids_needed))
            self._free_ids.extend(row["payment_id"] for row in found)
        state.free_payment_ids = self._free_ids.copy()
        return state

    async def write(self, decided: Sequence[Decided], state: State, recorded_at: datetime) -> None:
        day = state.clearing_date
        texts = rows.outcome_texts(decided)
        postings = [booking.posting for one in decided for booking in one.effects.bookings]
        self._used_ids = {posting.payment_id for posting in postings}
        await self._insert("insert_operation", rows.operation_rows(decided, texts), day, recorded_at)
        await self._insert("insert_payment", rows.payment_rows(postings), self._currency, recorded_at)
        await self._insert("insert_entry", rows.entry_rows(decided), self._currency)
        await self._insert("insert_evidence", rows.evidence_rows(decided, texts), day, recorded_at)
        await self._insert("insert_sign_event", rows.sign_event_rows(decided), day, recorded_at)
        await self._update_running_sums(decided)

    async def commit(self) -> CommitResult:
        try:
            tag = await self._connection.execute("COMMIT")
        except RetryTransaction:
            return CommitResult.ABORTED
        except DatabaseError:
            return CommitResult.UNKNOWN
        if tag != "COMMIT":  # a transaction that had failed answers COMMIT with ROLLBACK
            return CommitResult.ABORTED
        self._free_ids = deque(free for free in self._free_ids if free not in self._used_ids)
        return CommitResult.COMMITTED

    async def roll_back(self) -> None:
        try:
            await self._connection.execute("ROLLBACK")
        except DatabaseError:
            self._connection.drop()

    async def close(self) -> None:
        # Not politely: a session whose COMMIT is unknown may hang, and closing must not wait for it.
        self._connection.drop()

    async def _insert(self, name: str, new: rows.Rows, *constants: Any) -> None:
        if new:
            await self._connection.execute(_sql(name), new, *constants)

    async def _update_running_sums(self, decided: Sequence[Decided]) -> None:
        receivables: dict[str, Receivable] = {}
        balances: dict[str, int] = {}
        for one in decided:  # the last version of a batch is the one that stays
            for receivable in one.effects.receivables:
                receivables[receivable.receivable_id] = receivable
            if one.effects.customer is not None:
                balances[one.effects.customer.customer_no] = one.effects.customer.prepayment_balance_fen
        ordered = [receivables[receivable_id] for receivable_id in sorted(receivables)]
        await self._update(
            "update_receivable",
            [one.receivable_id for one in ordered],
            [one.received_principal_fen for one in ordered],
            [one.received_penalty_fen for one in ordered],
        )
        customer_nos = sorted(balances)
        await self._update("update_customer", customer_nos, [balances[customer_no] for customer_no in customer_nos])

    async def _update(self, name: str, keys: list[str], *columns: list[int]) -> None:
        if not keys:
            return
        tag = await self._connection.execute(_sql(name), keys, *columns)
        if tag != f"UPDATE {len(keys)}":
            raise BrokenLedgerError(f"{name}: {tag} where {len(keys)} rows were to change")


async def open_postgres_store(dsn: str, partition: int, partitions: int, currency: str) -> PostgresStore:
    """A store of its own connection; raises the errors of `gateway.database`."""
    schema = schema_name(partition)
    connection = await connect(
        dsn, search_path=schema, application_name=f"busbar lane {schema}", settings=SESSION_SETTINGS
    )
    return PostgresStore(connection, partition, partitions, currency)


async def read_state(pool: Pool, partition: int, partitions: int, wanted: Wanted, timeout_seconds: float) -> State:
    """The same state for a question that changes nothing: no lock, one snapshot for all of its statements.

    `pool` has the partition's `search_path`. ConnectionLost where no connection is free in time.
    """
    async with (
        pool.acquire(timeout_seconds=timeout_seconds) as connection,
        connection.transaction("repeatable_read", read_only=True),
    ):
        return await load_state(connection, partition, partitions, wanted)


async def load_state(connection: Connection, partition: int, partitions: int, wanted: Wanted) -> State:
    """What `wanted` names, without free payment ids."""
    day = await connection.fetch_row(_sql("read_day"), list(wanted.banks))
    if day is None or day["clearing_date"] is None:
        raise BrokenLedgerError(f"{schema_name(partition)} has no clearing day")
    state = State(partition, day["clearing_date"], signed_on=dict.fromkeys(day["signed_on"], True))
    await _load_records(connection, wanted.keys, state)
    await _load_originals(connection, wanted, state)
    if wanted.customer_nos:
        await _load_customers(connection, wanted, state, partitions)
        await _load_receivables(connection, wanted, state)
    return state


async def _load_records(connection: Connection, keys: Sequence[OperationKey], state: State) -> None:
    for row in await connection.fetch(_sql("load_records"), *rows.key_columns(keys)):
        record = rows.record_from(row)
        state.records[record.key] = record


async def _load_originals(connection: Connection, wanted: Wanted, state: State) -> None:
    if not wanted.payment_keys and not wanted.references:
        return
    banks, _kinds, dates, numbers = rows.key_columns(wanted.payment_keys)
    reference_banks = [bank for bank, _ in wanted.references]
    references = [reference_no for _, reference_no in wanted.references]
    found = await connection.fetch(_sql("load_originals"), banks, dates, numbers, reference_banks, references)
    if not found:
        return
    lines: dict[int, list[PostedLine]] = defaultdict(list)
    for row in await connection.fetch(_sql("load_lines"), [row["payment_id"] for row in found]):
        lines[row["payment_id"]].append(rows.line_from(row))
    for row in found:
        posting = rows.posting_from(row, lines[row["payment_id"]])
        state.postings[posting.payment_id] = posting
        state.payment_id_by_key[posting.key] = posting.payment_id
        state.payment_id_by_reference[posting.key.bank, posting.reference_no] = posting.payment_id
        if row["undone_by"] is not None:
            state.undone_by[posting.payment_id] = row["undone_by"]


async def _load_customers(connection: Connection, wanted: Wanted, state: State, partitions: int) -> None:
    for row in await connection.fetch(_sql("load_customers"), list(wanted.customer_nos)):
        customer = rows.customer_from(row)
        if home(customer.payment_no, partitions) != state.partition:
            raise BrokenLedgerError(f"{schema_name(state.partition)} is not the home of a customer found in it")
        state.customers[customer.customer_no] = customer


async def _load_receivables(connection: Connection, wanted: Wanted, state: State) -> None:
    named = {line.receivable_id for posting in state.postings.values() for line in posting.lines}
    found = await connection.fetch(
        _sql("load_receivables"),
        list(wanted.customer_nos),
        sorted(named.union(wanted.receivable_ids)),
        list(wanted.billing_months),
    )
    touched = [row["receivable_id"] for row in found if row["received_principal_fen"] or row["received_penalty_fen"]]
    settled: dict[str, list[SettledLine]] = defaultdict(list)
    if touched:
        for row in await connection.fetch(_sql("load_settled"), touched):
            settled[row["receivable_id"]].append(
                SettledLine(row["paid_date"], row["principal_fen"], row["penalty_fen"])
            )
    for row in found:
        receivable = rows.receivable_from(row, settled.get(row["receivable_id"], ()))
        state.receivables.setdefault(receivable.customer_no, {})[receivable.receivable_id] = receivable
