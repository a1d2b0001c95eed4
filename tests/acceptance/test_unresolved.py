"""Unresolved money on real sockets and a real PostgreSQL: every cause of a doubt, every way in which a bank ends it.

Strategy: a house of its own whose banks give up after a second, and which keeps account of its answers as the program
does. A cause is played by what would cause it: a line that is closed, a customer whom somebody holds, a day that nobody
can book on, a commit that does not come back. Nothing is written into the ledger by hand.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from busbar.bank.wires import Answer, Damage, Meaning, Order, Wire
from busbar.installations import create_sample
from gateway.config import Installation, load
from gateway.database import connect
from gateway.ledger.decide import decide
from gateway.ledger.ledger import Ledger
from gateway.ledger.store_postgres import CLEARING_LOCK, PostgresStore
from gateway.main import keeping_unresolved, serving
from gateway.metrics import Metrics
from reconciliation.extract import LedgerSource
from reconciliation.unresolved.rows import Unresolved, list_unresolved

from .conftest import PASSWORD
from .house import BANK_OF, ISO, PATIENCE_SECONDS, WIRES, XML, House

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEADLINE_SECONDS = 1.0
NAME = "house_of_doubts"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The sample installation; both banks get an answer within a second."""
    folder = tmp_path_factory.mktemp("doubts")
    create_sample(folder)
    for path in (folder / "banks").glob("*.toml"):
        text = path.read_text("utf-8")
        assert "answer_deadline_seconds = " in text
        lines = [
            f"answer_deadline_seconds = {DEADLINE_SECONDS}" if line.startswith("answer_deadline_seconds") else line
            for line in text.splitlines()
        ]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return load(folder)


class Doubts(House):
    """A house with a view of its unresolved money."""

    metrics: Metrics

    async def unresolved(self, order: Order) -> list[Unresolved]:
        source = LedgerSource(self.night_dsn, self.installation.partitions)
        return [one for one in await list_unresolved(source, everything=True) if one.customer_no == order.customer_no]

    async def one(self, order: Order, *, is_open: bool) -> Unresolved:
        """The only row of the order's customer, once it is as open or closed as it should be."""
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            rows = await self.unresolved(order)
            if rows and all(row.is_open == is_open for row in rows):
                [row] = rows
                return row
            await asyncio.sleep(0.02)
        raise AssertionError(f"no row that is {'open' if is_open else 'closed'}: {rows}")

    async def events(self, order: Order) -> list[str]:
        rows = await self.fetch(
            "SELECT event FROM {s}.unresolved_event JOIN {s}.unresolved USING (unresolved_id)"
            " WHERE customer_no = $1 ORDER BY event_no",
            order.customer_no,
        )
        return [row["event"] for row in rows]

    async def finished(self, order: Order) -> None:
        """The operation has its end in the ledger."""
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if await self.payments(order.trace_no):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("never booked")

    @asynccontextmanager
    async def held(self, order: Order) -> AsyncIterator[None]:
        """Somebody else holds the customer's row."""
        async with self.database.transaction():
            for partition in range(self.installation.partitions):
                await self.database.execute(
                    f"SELECT 1 FROM ledger_{partition:02d}.customer WHERE customer_no = $1 FOR UPDATE",
                    order.customer_no,
                )
            yield

    @asynccontextmanager
    async def nobody_books(self) -> AsyncIterator[None]:
        """As during a cut-off that does not end."""
        async with self.database.transaction():
            for partition in range(self.installation.partitions):
                await self.database.execute("SELECT pg_advisory_xact_lock($1, $2)", CLEARING_LOCK, partition)
            yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doubts(
    installation: Installation, populated: str, postgresql_server: Any, first_day: date, log_stream: io.StringIO
) -> AsyncIterator[Doubts]:
    server = await connect(postgresql_server.superuser_dsn())
    await server.execute(f'DROP DATABASE IF EXISTS "{NAME}"')
    await server.execute(f'CREATE DATABASE "{NAME}" TEMPLATE "{populated}" STRATEGY file_copy')
    gateway, night = [postgresql_server.dsn(NAME, role, PASSWORD) for role in ("busbar_gateway", "busbar_night")]
    database = await connect(postgresql_server.superuser_dsn(NAME))
    metrics = Metrics()

    async def healthy() -> str | None:
        return None

    try:
        async with (
            Ledger(gateway, installation.partitions, rules=installation.rules, decide=decide) as ledger,
            keeping_unresolved(installation, gateway, ledger, metrics) as unresolved,
            serving(installation, ledger.submit, healthy, metrics, unresolved.told) as addresses,
        ):
            house = Doubts(installation, gateway, night, database, addresses, log_stream, first_day)
            house.metrics = metrics
            yield house
    finally:
        await database.close()
        await server.execute(f'DROP DATABASE "{NAME}" WITH (FORCE)')
        await server.close()


async def lost_reply(house: Doubts, wire: Wire, order: Order, _monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await wire.pay(order, Damage.LOST_REPLY)).meaning is Meaning.NO_ANSWER
    await house.finished(order)


async def held_customer(house: Doubts, wire: Wire, order: Order, _monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped until its deadline, nothing booked: the bank is told "in progress"."""
    async with house.held(order):
        assert (await wire.pay(order)).meaning is Meaning.UNKNOWN


async def no_answer(house: Doubts, wire: Wire, order: Order, _monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.nobody_books():
        assert (await wire.pay(order)).meaning is Meaning.UNKNOWN
    await house.finished(order)


async def commit_hangs(house: Doubts, wire: Wire, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    real, may_end = PostgresStore.commit, asyncio.Event()

    async def slow(store: PostgresStore) -> Any:
        await may_end.wait()
        return await real(store)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresStore, "commit", slow)
        assert (await wire.pay(order)).meaning is Meaning.UNKNOWN
        may_end.set()
        await house.finished(order)


Act = Callable[[Doubts, Wire, Order, pytest.MonkeyPatch], Awaitable[None]]
CAUSES: dict[str, tuple[Act, str]] = {
    "REPLY_NOT_DELIVERED": (lost_reply, "BOOKED"),
    "IN_PROGRESS": (held_customer, "NOT_BOOKED"),
    "NO_ANSWER_IN_TIME": (no_answer, "BOOKED"),
    "COMMIT_UNKNOWN": (commit_hangs, "BOOKED"),
}


async def resend(_house: Doubts, wire: Wire, order: Order) -> Answer:
    return await wire.pay(order)


async def status_enquiry(house: Doubts, wire: Wire, order: Order) -> Answer:
    return await wire.status(order, (house.day, house.trace_no()), fence=True)


async def reversal(house: Doubts, wire: Wire, order: Order) -> Answer:
    trace_no = house.trace_no() if wire.has_status_enquiry else order.trace_no
    return await wire.reverse(order, (order.trace_date, trace_no))


WAYS: dict[str, tuple[Callable[[Doubts, Wire, Order], Awaitable[Answer]], str]] = {
    "RESEND": (resend, "RESEND_ANSWERED"),
    "STATUS_ENQUIRY": (status_enquiry, "STATUS_ENQUIRY_ANSWERED"),
    "REVERSAL": (reversal, "REVERSAL_ANSWERED"),
}
CASES = [
    (name, cause, way)
    for name in WIRES
    for cause in CAUSES
    for way in WAYS
    if not (name == ISO and way == "STATUS_ENQUIRY")  # that dialect's status enquiry is the resend
]


@pytest.mark.parametrize(("name", "cause", "way"), CASES)
async def test_every_cause_and_every_way(
    doubts: Doubts, monkeypatch: pytest.MonkeyPatch, name: str, cause: str, way: str
) -> None:
    order = doubts.order(doubts.payer())
    act, our_side = CAUSES[cause]
    end, event = WAYS[way]
    async with doubts.wire(name) as wire:
        await act(doubts, wire, order, monkeypatch)
        row = await doubts.one(order, is_open=True)
        assert (row.bank, row.kind, row.trace_no, row.amount_fen) == (
            BANK_OF[name],
            "PAYMENT",
            order.trace_no,
            order.amount_fen,
        )
        assert (row.cause, row.our_side, row.bank_side) == (cause, our_side, "SILENT")
        assert row.next_action == "WAIT_FOR_FILE"
        assert row.clearing_date == doubts.day
        assert (await end(doubts, wire, order)).meaning is Meaning.OK
        row = await doubts.one(order, is_open=False)
    assert (row.closed_by, row.bank_side, row.next_action) == (way, event, "NOTHING")
    assert await doubts.events(order) == [event, "CLOSED"]
    await doubts.check_books()
    doubts.assert_log_is_clean()


@pytest.mark.parametrize("name", WIRES)
async def test_the_late_reply_closes(doubts: Doubts, name: str) -> None:
    """A copy is told "in progress" while the first one waits; then the first one's reply is delivered."""
    order = doubts.order(doubts.payer())
    async with doubts.wire(name) as wire, doubts.wire(name) as other:
        async with doubts.held(order):
            first = asyncio.create_task(wire.pay(order))
            await asyncio.sleep(0.2)
            assert (await other.pay(order)).meaning is Meaning.UNKNOWN
            assert (await doubts.one(order, is_open=True)).cause == "IN_PROGRESS"
        assert (await first).meaning is Meaning.OK
        assert (await doubts.one(order, is_open=False)).closed_by == "LATE_REPLY"


@pytest.mark.parametrize("name", WIRES)
async def test_a_reversal_without_an_answer_is_a_row_of_its_own(doubts: Doubts, name: str) -> None:
    """Repeated until answered: the answer closes it. The payment itself was never in doubt."""
    order = doubts.order(doubts.payer())
    async with doubts.wire(name) as wire:
        assert (await wire.pay(order)).meaning is Meaning.OK
        trace = (order.trace_date, doubts.trace_no() if wire.has_status_enquiry else order.trace_no)
        async with doubts.nobody_books():
            assert (await wire.reverse(order, trace)).meaning is Meaning.UNKNOWN
        row = await doubts.one(order, is_open=True)
        assert (row.kind, row.cause) == ("REVERSAL", "NO_ANSWER_IN_TIME")
        again = await wire.reverse(order, trace)
        while again.meaning is Meaning.UNKNOWN:  # its first copy is still being booked
            again = await wire.reverse(order, trace)
        assert again.meaning is Meaning.OK
        row = await doubts.one(order, is_open=False)
        assert (row.closed_by, row.our_side) == ("REVERSAL", "BOOKED")


async def test_a_teller_cancels_what_was_in_doubt(doubts: Doubts, monkeypatch: pytest.MonkeyPatch) -> None:
    order = doubts.order(doubts.payer())
    async with doubts.wire(XML) as wire:
        await lost_reply(doubts, wire, order, monkeypatch)
        await doubts.one(order, is_open=True)
        assert (await wire.cancel(order, "", (doubts.day, doubts.trace_no()))).meaning is Meaning.OK
        row = await doubts.one(order, is_open=False)
    assert (row.closed_by, row.our_side) == ("CANCEL", "CANCELLED")


@pytest.mark.parametrize("name", WIRES)
async def test_lost_again_is_the_same_doubt(doubts: Doubts, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    order = doubts.order(doubts.payer())
    async with doubts.wire(name) as wire:
        await lost_reply(doubts, wire, order, monkeypatch)
        await doubts.one(order, is_open=True)
        await wire.pay(order, Damage.LOST_REPLY)
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if await doubts.events(order) == ["IN_DOUBT_AGAIN"]:
                break
            await asyncio.sleep(0.02)
        assert (await resend(doubts, wire, order)).meaning is Meaning.OK
        await doubts.one(order, is_open=False)
    assert await doubts.events(order) == ["IN_DOUBT_AGAIN", "RESEND_ANSWERED", "CLOSED"]


@pytest.mark.parametrize("name", WIRES)
async def test_what_closes_nothing(doubts: Doubts, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Another message under the same trace, and an answer about somebody else."""
    order, other = doubts.order(doubts.payer()), doubts.order(doubts.payer())
    async with doubts.wire(name) as wire:
        await lost_reply(doubts, wire, order, monkeypatch)
        await doubts.one(order, is_open=True)
        assert (await wire.pay(other)).meaning is Meaning.OK
        changed = Order(**{**_fields(order), "amount_fen": order.amount_fen + 1})
        assert (await wire.pay(changed)).meaning is Meaning.REFUSED
        await asyncio.sleep(0.3)
        assert (await doubts.one(order, is_open=True)).bank_side == "SILENT"
        assert await doubts.unresolved(other) == []


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in Order.__slots__}


async def test_ordinary_answers_leave_no_trace(doubts: Doubts) -> None:
    order = doubts.order(doubts.payer())
    async with doubts.wire(XML) as wire:
        await wire.enquire(order.customer_no, "", (doubts.day, doubts.trace_no()))
        assert (await wire.pay(order)).meaning is Meaning.OK
        assert (await wire.pay(order)).meaning is Meaning.OK
        assert (await wire.pay(doubts.order(doubts.payer(), 1))).meaning is Meaning.REFUSED
        assert (await reversal(doubts, wire, order)).meaning is Meaning.OK
    await asyncio.sleep(0.2)
    assert await doubts.unresolved(order) == []


async def test_metrics_tell_count_and_age(doubts: Doubts, monkeypatch: pytest.MonkeyPatch) -> None:
    order = doubts.order(doubts.payer())
    value = doubts.metrics.registry.get_sample_value

    async def open_count() -> float:
        return value("busbar_unresolved_open", {"bank": "YYB"}) or 0

    async with doubts.wire(XML) as wire:
        before = await open_count()
        await lost_reply(doubts, wire, order, monkeypatch)
        await doubts.one(order, is_open=True)
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if await open_count() == before + 1:
                break
            await asyncio.sleep(0.02)
        assert await open_count() == before + 1
        assert (value("busbar_unresolved_oldest_seconds", {"bank": "YYB"}) or 0) > 0
        await resend(doubts, wire, order)
        await doubts.one(order, is_open=False)
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if await open_count() == before:
                break
            await asyncio.sleep(0.02)
        assert await open_count() == before
    assert value("busbar_unresolved_dropped") == 0
