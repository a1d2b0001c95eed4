"""One seeded world: banks, lines, gateway processes and a database server, and everything that goes wrong in it.

Strategy: the seed draws the weather, the people and every single event; the loop gives them virtual time. `play` runs
a world to its end: first with all its faults, then (from `CALM_AFTER_SECONDS` on) in calm, so that banks can drive
whatever is open to an end. The auditor looks after every step. The same seed gives the same events, whoever runs it:
`Played.digest` is a hash over all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from gateway.database import ConnectionLost
from gateway.keyring import MacKey
from gateway.ledger.decide import decide
from gateway.ledger.lane import Lane, LaneLimits
from gateway.ledger.model import Customer, Receivable
from gateway.ledger.partitions import home
from gateway.ledger.rules import Rules
from gateway.ledger.store import Decide
from gateway.ledger.store_memory import MemoryDatabase, MemoryStore
from gateway.operations import ALL_BILLS, BillSelection, OperationKey, OperationKind

from .auditor import Auditor, Violation
from .bank import Bank
from .loop import Machine, Power, StuckError, VirtualLoop
from .network import IsoLine, MessageLine
from .process import GatewayProcess
from .store import Server, Session
from .weather import CALM_AFTER_SECONDS, Weather, draw_weather
from .wires import ZONE, IsoWire, MessageWire, Order, profile_of

FIRST_DAY = date(2026, 11, 25)
LATEST_END_SECONDS = 900.0
MOST_STEPS = 400_000
MONTHS = (202609, 202610, 202611)
STRANGER = "0699999999"


@dataclass(frozen=True, slots=True)
class Parts:
    """The production's parts that a world is made of. Proofs that the simulation can fail exchange one of them."""

    decide: Decide = decide
    lane: Callable[..., Lane] = Lane
    database: Callable[[int, date], MemoryDatabase] = MemoryDatabase
    store: Callable[[MemoryDatabase], MemoryStore] = MemoryStore
    session: Callable[..., Session] = Session
    auditor: Callable[..., Auditor] = Auditor


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a world. `violation` is None where everything held."""

    seed: int
    violation: str | None
    digest: str
    tally: Counter[str]
    events: list[tuple[Any, ...]] = field(repr=False)


def play(seed: int, parts: Parts | None = None, *, with_log: bool = False) -> Played:
    """One world from beginning to end. `with_log` adds the gateway's own log lines to the events."""
    world = World(seed, parts or Parts())
    violation = None
    with _log_into(world, everything=with_log):
        try:
            world.loop.run(world.live(), most_steps=MOST_STEPS)
        except (Violation, StuckError) as found:
            violation = f"{found} (at {world.loop.time():.3f} s, step {world.loop.steps})"
    world.tally["steps"] = world.loop.steps
    return Played(seed, violation, world.digest(), world.tally, world.events)


@dataclass(frozen=True, slots=True)
class _Strike:
    """Something that happens to a process between two steps: at `step`, or soon after it is at work from then on."""

    step: int
    waits_for_work: bool
    what: Callable[[int, GatewayProcess], None]


class World:
    """See above; `live` is its whole life."""

    def __init__(self, seed: int, parts: Parts) -> None:
        self.chance = random.Random(seed)
        self.parts = parts
        self.tally: Counter[str] = Counter()
        self.events: list[tuple[Any, ...]] = []
        self.fault = ""  # of the gateway's own, as its log tells it
        self.loop = VirtualLoop(self._after_step)
        self.weather: Weather = draw_weather(self.chance)
        self.span_seconds: float = self.chance.choice((0.2, 3.0, 30.0))
        self.lane_limits = LaneLimits(
            batch_operations=self.chance.choice((1, 4, 128)),
            # Longer than in production: a customer who is held for seconds would be tried for half of the run.
            retry_pause_seconds=self.chance.choice((0.02, 0.2)),
            reconnect_most_seconds=self.chance.choice((0.05, 0.1, 2.0)),
        )
        self._crowds = [self.chance.random() * self.span_seconds for _ in range(self.chance.choice((0, 1, 2, 3)))]
        self.context = copy_context()
        hour = timedelta(hours=self.weather.start_hour)
        self._start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=ZONE) + hour
        self.server = Server(self, self.weather.partitions, FIRST_DAY)
        self._processes: list[GatewayProcess | None] = [None] * self.weather.processes
        self._made = 0
        self._strikes: list[_Strike] = []  # the last first
        self._people()
        self.auditor = parts.auditor(self, self.server.databases)
        required = (f"B{n}" for n in range(0, self.weather.banks, 2)) if self.weather.sign_on_required else ()
        self.rules = Rules(stale_days=2, sign_on_required=frozenset(required))
        self.banks = [self._bank(number) for number in range(self.weather.banks)]

    # --- what the parts of the world need

    def true_time(self) -> datetime:
        return self._start + timedelta(seconds=self.loop.time())

    @property
    def is_calm(self) -> bool:
        return self.loop.time() >= CALM_AFTER_SECONDS

    def happens(self, rate: float) -> bool:
        """Whether something of this probability happens now; in calm nothing does."""
        return rate > 0 and not self.is_calm and self.chance.random() < rate

    async def pause(self, about_seconds: float) -> None:
        """A step's time: about so long, or much longer where the weather is slow."""
        seconds = about_seconds * self.chance.random()
        if self.happens(self.weather.slow_step):
            seconds += self.chance.random()
        await asyncio.sleep(seconds)

    def later(self, seconds: float, callback: Callable[..., object], *args: Any) -> None:
        """Something that belongs to no machine."""
        self.loop.call_later(seconds, callback, *args, context=self.context)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that belongs to no machine."""
        return self.loop.create_task(work, context=self.context)

    def note(self, *event: Any) -> None:
        self.events.append((round(self.loop.time(), 6), *event))

    def digest(self) -> str:
        return hashlib.sha256("\n".join(str(event) for event in self.events if event[1] != "log").encode()).hexdigest()

    def process_at(self, slot: int) -> GatewayProcess | None:
        """Who listens at an address now; a stalled process still takes connections."""
        process = self._processes[slot]
        return process if process is not None and process.is_listening and not process.is_dead else None

    # --- who lives here

    def _people(self) -> None:
        for number in range(self.weather.customers):
            customer_no = f"06{number:08d}"
            database = self.server.databases[home(customer_no, self.weather.partitions)]
            prepaid_fen = self.chance.choice((0, 0, 0, 700))
            database.customers[customer_no] = Customer(
                customer_no, customer_no, "张三", "天河路1号", "06010000", "03", "201", False, prepaid_fen
            )
            for month in MONTHS[: self.chance.randint(1, 3)]:
                bill = self._receivable(customer_no, month)
                database.receivables[bill.receivable_id] = bill

    def _receivable(self, customer_no: str, month: int) -> Receivable:
        """Some are overdue, some become so at midnight."""
        due = self.chance.choice((date(2026, 12, 20), date(2026, 12, 20), FIRST_DAY, date(2026, 11, 10)))
        principal_fen = self.chance.randint(1, 30_000)
        partial = self.chance.random() < 0.5
        identity = f"R{customer_no}{month}"
        return Receivable(identity, customer_no, month, "010", "06010000", principal_fen, due, partial, False, 0, 0)

    def _bank(self, number: int) -> Bank:
        weather = self.weather
        profile = profile_of(
            number,
            sign_on_required=weather.sign_on_required,
            answer_deadline_seconds=weather.answer_deadline_seconds,
        )
        key = MacKey("k", self.chance.randbytes(16))
        is_iso = profile.wire.protocol == "iso8583-guangzhou"
        wire = IsoWire(f"31581{number}", key) if is_iso else MessageWire(profile.code)
        bank = Bank(self, profile, wire, self._skew())
        for slot in range(weather.processes):
            line = IsoLine(self, slot, profile, key, bank.hear) if is_iso else None
            bank.lines.append(line or MessageLine(self, slot, profile, bank.hear))
        return bank

    def _skew(self) -> float:
        return self.weather.skew_seconds * (2 * self.chance.random() - 1)

    def _order(self, bank: Bank) -> Order:
        chance = self.chance
        customer_no = f"06{chance.randrange(self.weather.customers):08d}" if chance.random() < 0.97 else STRANGER
        database = self.server.databases[home(customer_no, self.weather.partitions)]
        bills = [one for one in database.receivables.values() if one.customer_no == customer_no]
        selection, amount_fen = ALL_BILLS, chance.randint(1, 20_000)
        if bills and chance.random() < 0.5:
            bill = chance.choice(bills)
            amount_fen = bill.principal_fen
            named = bank.wire.has_status_enquiry and chance.random() < 0.5
            selection = BillSelection((bill.receivable_id,)) if named else BillSelection((), bill.billing_month)
        elif chance.random() < 0.4:
            amount_fen = sum(bill.principal_fen for bill in bills) + chance.choice((0, 0, 5_000)) or 1
        trace_date = (self.true_time() + timedelta(days=chance.choice((0, 0, 0, 1)))).date()
        key = OperationKey(bank.code, OperationKind.PAYMENT, trace_date, bank.next_trace())
        return Order(key, customer_no, selection, amount_fen, self.true_time())

    # --- its life

    async def live(self) -> None:
        self.note("weather", *[f"{name}={getattr(self.weather, name)}" for name in self.weather.__slots__])
        for slot in range(self.weather.processes):
            await self._new_process(slot)
        self._plan_faults()
        for bank in self.banks:
            self.spawn(bank.sign(on=True))
        days = [self.spawn(bank.run(*self._day_of(bank))) for bank in self.banks]
        _, late = await asyncio.wait(days, timeout=LATEST_END_SECONDS)
        for task in days:
            if task.done():
                task.result()
        if not late:
            await asyncio.sleep(max(0.0, CALM_AFTER_SECONDS - self.loop.time()) + 90.0)  # let stragglers arrive
        self.auditor.conclude(self.banks)

    def _day_of(self, bank: Bank) -> tuple[list[tuple[float, Order]], float | None]:
        starts = [(self._start_of_order(), self._order(bank)) for _ in range(self.weather.orders_per_bank)]
        signs_off = self.weather.sign_on_required and self.chance.random() < 0.3
        return starts, self.chance.random() * self.span_seconds if signs_off else None

    def _start_of_order(self) -> float:
        """In some worlds payers come in crowds, so that processes meet at the same customers."""
        if not self._crowds:
            return self.chance.random() * self.span_seconds
        return self.chance.choice(self._crowds) + self.chance.random() * 0.02

    def _after_step(self) -> None:
        self.auditor.look()
        if self.fault:
            raise Violation(self.fault)
        if self.loop.errors:
            error = self.loop.errors[0].get("exception")
            raise error if isinstance(error, Violation) else Violation(f"an exception that nobody took: {error!r}")
        if self._strikes and self.loop.steps >= self._strikes[-1].step:
            self._strike()

    # --- what happens to it

    def _plan_faults(self) -> None:
        chance, span = self.chance, self.span_seconds
        strikes = [*[self.crash] * self.weather.crashes, *[self._stall] * self.weather.stalls]
        self._strikes = [_Strike(chance.randint(1, 1_500), chance.random() < 0.7, strike) for strike in strikes]
        self._strikes.sort(key=lambda strike: strike.step, reverse=True)
        for _ in range(self.weather.restarts):
            self.later(chance.random() * span, lambda: self.spawn(self.restart()))
        for _ in range(self.weather.outages):
            self.later(chance.random() * span, lambda: self.spawn(self.outage()))
        moments = sorted(chance.random() * span for _ in range(self.weather.cut_offs))
        if moments:
            self.spawn(self._operate(moments))

    async def _new_process(self, slot: int) -> None:
        self._made += 1
        process = GatewayProcess(self, f"gateway-{slot}-{self._made}", self._skew())
        self._processes[slot] = process
        task = self.loop.create_task(process.start(), context=process.machine.context)
        if not self.loop.time():
            await task

    def _strike(self) -> None:
        """One that waits for work to be under way strikes some steps after that, so that any step may be the one."""
        slot = self.chance.randrange(self.weather.processes)
        process, strike = self._processes[slot], self._strikes[-1]
        if strike.waits_for_work and not self.is_calm:
            if process is not None and process.waiting:
                self._strikes[-1] = _Strike(self.loop.steps + self.chance.randint(0, 60), False, strike.what)
            return
        self._strikes.pop()
        if process is not None and process.machine.power is Power.RUNNING and not self.is_calm:
            strike.what(slot, process)

    def crash(self, slot: int, process: GatewayProcess) -> None:
        """A process dies where it stands. Its database sessions end when the server notices; another one starts."""
        self.note(process.machine.name, "dies")
        self.tally["crashes"] += 1
        self.tally["crashes while something was in the lanes"] += process.waiting > 0
        process.machine.power = Power.DEAD
        linger = self.chance.random() * self.weather.late_commit_seconds
        self.spawn(self.server.disconnect(process.machine, linger))
        self.later(self.chance.random() * 3.0, self._replace, slot)

    def _replace(self, slot: int) -> None:
        self.spawn(self._new_process(slot))

    def _stall(self, _slot: int, process: GatewayProcess) -> None:
        self.stall(process.machine)

    def stall(self, machine: Machine) -> None:
        """A process stands still for a while; sometimes the server ends its sessions meanwhile."""
        self.note(machine.name, "stalls")
        self.tally["stalls"] += 1
        machine.power = Power.STALLED
        seconds = self.chance.random() * self.weather.stall_seconds
        if self.chance.random() < 0.7:
            self.tally["stalls that outlive their sessions"] += 1
            self.spawn(self.server.disconnect(machine, seconds * self.chance.random()))
        self.later(seconds, self._resume, machine)

    def _resume(self, machine: Machine) -> None:
        if machine.power is Power.STALLED:
            self.note(machine.name, "goes on")
            self.loop.resume(machine)

    async def restart(self) -> None:
        """A process is told to stop, and another one takes its place."""
        slot = self.chance.randrange(self.weather.processes)
        process = self.process_at(slot)
        if process is None or process.machine.power is not Power.RUNNING:
            return
        self.note(process.machine.name, "is told to stop")
        self.tally["restarts"] += 1
        stopping = self.loop.create_task(process.stop(), context=process.machine.context)
        await asyncio.wait([stopping], timeout=60.0)
        if self._processes[slot] is process:
            process.machine.power = Power.DEAD
            await self._new_process(slot)

    async def outage(self) -> None:
        self.note("database", "goes down")
        self.tally["database outages"] += 1
        self.server.go_down()
        await asyncio.sleep(self.chance.random() * self.weather.outage_seconds)
        self.server.is_up = True
        self.note("database", "is up")

    async def _operate(self, moments: list[float]) -> None:
        """The cut-offs: partition by partition, each repeated until it is through."""
        day = FIRST_DAY
        for moment in moments:
            await asyncio.sleep(max(0.0, moment - self.loop.time()))
            day += timedelta(days=1)
            for database in self.server.databases:
                await self._cut_off(database, day)

    async def _cut_off(self, database: MemoryDatabase, day: date) -> None:
        while database.clearing_days[-1] != day:
            try:
                await asyncio.wait_for(database.open_clearing_day(day), 0.5 + 5 * self.chance.random())
                self.tally["cut-offs"] += 1
                self.tally["cut-offs with operations in the lanes"] += any(
                    process is not None and process.waiting > 0 for process in self._processes
                )
            except (TimeoutError, ConnectionLost):
                self.tally["cut-offs repeated"] += 1
                await asyncio.sleep(0.2)
        self.note("operator", "opened", database.partition, str(day))


@contextmanager
def _log_into(world: World, *, everything: bool) -> Iterator[None]:
    """The gateway's log goes to the world: an error there is the gateway's own fault, and ends the run."""
    before = structlog.get_config()

    def take(_logger: Any, level: str, event: dict[str, Any]) -> Any:
        event.pop("exc_info", None)
        if everything:
            world.note("log", level, str(event))
        if level == "error":  # raised after the step: here the gateway would catch it
            world.fault = world.fault or f"the gateway logged a fault of its own: {event}"
        raise structlog.DropEvent

    structlog.configure(
        processors=[take],
        wrapper_class=structlog.make_filtering_bound_logger("debug" if everything else "error"),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
