"""Two banks under load: what they ask, what they are told, and how they settle what nobody answered.

Strategy: each bank has a few tellers who pay, cancel and reverse as fast as they are answered, over the simulated
bank's own wires (ISO 8583 over TCP, signed XML over HTTP). Rules:

- whatever a bank is told for good is written to its acknowledgement log and synced to disk before the teller goes on;
- what has no final answer stays `open`, whether it was ever delivered or not;
- `settle` ends every open operation as a bank would: a status enquiry where the wire has one, the same message again, a
  fence, or a reversal. Which of them is drawn by the seed; any of them must lead to the one truth;
- a bank uses every trace number once, and every gateway that is there, so a resend often meets another one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from busbar.bank.wires import Answer, Meaning, Order, Wire

ZONE = ZoneInfo("Asia/Shanghai")
TELLERS = 10  # of each bank; more only make the queue longer
PAUSE_SECONDS = 0.05  # between two attempts to settle
GONE_SECONDS = 0.2  # after no answer: a teller sees that the line is dead
SETTLERS = 16  # operations settled at a time: a bank that comes back doesn't storm the utility
SETTLE_TIMEOUT_SECONDS = 30.0
FINAL = (Meaning.OK, Meaning.REFUSED)
Key = tuple[str, str, date, str]  # bank, kind, trace date, trace number


class AcknowledgementLog:
    """What banks were told for good: a line is on the disk before `note` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.success: set[Key] = set()
        self.refused: set[Key] = set()
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, key: Key, amount_fen: int, answer: Answer) -> None:
        """A reversal that found nothing to undo is approved without a reference number: nothing is booked under it."""
        is_booked = answer.meaning is Meaning.OK and bool(answer.reference_no)
        (self.success if is_booked else self.refused).add(key)
        bank, kind, trace_date, trace_no = key
        line = {
            "bank": bank,
            "kind": kind,
            "trace_date": trace_date.isoformat(),
            "trace_no": trace_no,
            "amount_minor": amount_fen,
            "currency": "CNY",
            "reference_no": answer.reference_no if is_booked else None,
            "clearing_date": answer.clearing_date.isoformat() if is_booked and answer.clearing_date else None,
            "outcome_class": "success" if is_booked else "final_refusal",
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclass(frozen=True)
class Asked:
    """An operation as the bank sent it. `order` is the payment's; `reference_no` is that of what is undone."""

    kind: str
    order: Order
    trace: tuple[date, str]
    reference_no: str = ""


@dataclass
class Payers:
    """`steady` owe more than the tests can pay and may pay in part; each of `small` comes once and overpays all."""

    steady: Sequence[tuple[str, str]]  # customer number, billing month
    small: list[str]
    small_fen: int


@dataclass
class Bank:
    """One bank. `wires` are its lines to the gateways that run now; with none, it can only wait."""

    code: str
    chance: random.Random
    log: AcknowledgementLog
    payers: Payers
    bank_date: date
    wires: list[Wire] = field(default_factory=list)
    open: dict[Key, Asked] = field(default_factory=dict)
    settled: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def work(self, stop: asyncio.Event) -> None:
        """Tellers until `stop`; returns when the last of them has an answer or none."""

        async def teller() -> None:
            while not stop.is_set():
                if self.wires:
                    await self._visit()
                else:
                    await asyncio.sleep(GONE_SECONDS)

        async with asyncio.TaskGroup() as group:
            for _ in range(TELLERS):
                group.create_task(teller())

    async def settle(self) -> list[str]:
        """End every open operation; returns what contradicts itself (nothing, in a sound house)."""
        # Payments first or last: a reversal may meet its payment booked, lost or still to come.
        waiting = sorted(self.open.items(), key=lambda item: item[0][2:], reverse=self.chance.random() < 0.5)
        self.settled += len(waiting)
        settlers = asyncio.Semaphore(SETTLERS)

        async def settle_one(key: Key, asked: Asked) -> str | None:
            async with settlers:
                await self._settle_one(key, asked)
                return await self._contradiction(key, asked)

        async with asyncio.timeout(SETTLE_TIMEOUT_SECONDS):
            told = await asyncio.gather(*(settle_one(key, asked) for key, asked in waiting))
        return [line for line in told if line is not None]

    def key(self, asked: Asked) -> Key:
        return (self.code, asked.kind, *asked.trace)

    async def ask(self, asked: Asked) -> Answer:
        """Send it once; a final answer goes to the log and closes it."""
        self.open[self.key(asked)] = asked
        answer = await self._send(asked)
        self._believe(asked, answer)
        return answer

    def _believe(self, asked: Asked, answer: Answer) -> None:
        if answer.meaning in FINAL and self.open.pop(self.key(asked), None) is not None:
            self.log.note(self.key(asked), asked.order.amount_fen, answer)

    async def _send(self, asked: Asked) -> Answer:
        if not self.wires:
            return Answer(Meaning.NO_ANSWER)
        wire = self.chance.choice(self.wires)
        send: dict[str, Callable[[], object]] = {
            "PAYMENT": lambda: wire.pay(asked.order),
            "SAME_DAY_CANCEL": lambda: wire.cancel(asked.order, asked.reference_no, asked.trace),
            "REVERSAL": lambda: wire.reverse(asked.order, asked.trace),
        }
        answer = await send[asked.kind]()  # type: ignore[misc]
        assert isinstance(answer, Answer)
        return answer

    async def _visit(self) -> None:
        """A payment, and what may come of it."""
        payment = self._payment()
        story = self.chance.random()
        if story < 0.06:  # the reversal overtakes, or runs beside its payment
            await asyncio.gather(self.ask(self._reversal(payment)), self.ask(payment))
            return
        answer = await self.ask(payment)
        if answer.meaning is Meaning.NO_ANSWER:
            await asyncio.sleep(GONE_SECONDS)
        elif answer.meaning is Meaning.OK and story < 0.18:
            await self.ask(Asked("SAME_DAY_CANCEL", payment.order, self._trace(), answer.reference_no))
        elif story < 0.28:
            await self.ask(self._reversal(payment))

    def _payment(self) -> Asked:
        trace_date, trace_no = self._trace()
        customer_no, month, amount_fen = self._bill()
        order = Order(
            trace_date,
            trace_no,
            datetime.now(ZONE).replace(microsecond=0),
            customer_no,
            amount_fen,
            channel="BANK_COUNTER",
            settle_method="CASH",
            billing_month=month,
        )
        return Asked("PAYMENT", order, (trace_date, trace_no))

    def _bill(self) -> tuple[str, str, int]:
        if self.payers.small and self.chance.random() < 0.1:
            return self.payers.small.pop(), "", self.payers.small_fen + self.chance.randint(1, 500)
        customer_no, month = self.chance.choice(self.payers.steady)
        return customer_no, month, self.chance.randint(1, 20_000)

    def _reversal(self, payment: Asked) -> Asked:
        """On the ISO wire a reversal carries its payment's trace, on the XML wire one of its own."""
        has_own_trace = bool(self.wires) and self.wires[0].has_status_enquiry
        return Asked("REVERSAL", payment.order, self._trace() if has_own_trace else payment.trace)

    def _trace(self) -> tuple[date, str]:
        return self.bank_date, f"{next(self._numbers):012d}"

    async def _settle_one(self, key: Key, asked: Asked) -> None:
        while key in self.open:
            answer = await self._settling_step(asked)
            self._believe(asked, answer)
            if key in self.open:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _settling_step(self, asked: Asked) -> Answer:
        """The same message again; of a payment its status, with or without a fence; or first a reversal."""
        if asked.kind != "PAYMENT" or not self.wires:
            return await self._send(asked)
        way = self.chance.random()
        if not self.wires[0].has_status_enquiry:
            if way < 0.3:
                await self._reverse_first(asked)
            return await self._send(asked)
        status = await self._status(asked, fence=way < 0.3)
        if status.meaning is Meaning.UNKNOWN and way > 0.6:
            if way > 0.8:
                await self._reverse_first(asked)
            return await self._send(asked)
        return _as_payment(status)

    async def _reverse_first(self, payment: Asked) -> None:
        reversal = self._reversal(payment)
        # On the ISO wire the key is the payment's: a bank sends one reversal of a payment, however often.
        known = self.key(reversal) in self.log.success | self.log.refused
        if not known and self.key(reversal) not in self.open:
            await self.ask(reversal)
            if self.key(reversal) in self.open:
                await self._settle_one(self.key(reversal), reversal)

    async def _status(self, payment: Asked, *, fence: bool) -> Answer:
        return await self.chance.choice(self.wires).status(payment.order, self._trace(), fence=fence)

    async def _contradiction(self, key: Key, asked: Asked) -> str | None:
        """The status enquiry says of a settled payment what the log says; else what it says."""
        if asked.kind != "PAYMENT" or not self.wires[0].has_status_enquiry:
            return None
        status = await self._status(asked, fence=False)
        while status.meaning in (Meaning.RETRY, Meaning.NO_ANSWER):
            await asyncio.sleep(PAUSE_SECONDS)
            status = await self._status(asked, fence=False)
        expected = ("BOOKED", "CANCELLED") if key in self.log.success else ("REFUSED", "FENCED")
        if status.meaning is Meaning.OK and status.payment_state in expected:
            return None
        told = f"{status.meaning.value} {status.payment_state}"
        return f"{key}: {'acknowledged' if key in self.log.success else 'refused'}, but its status is {told}"


def _as_payment(status: Answer) -> Answer:
    """What a status enquiry's answer says of the payment; one that was undone since had been booked all the same."""
    if status.meaning is not Meaning.OK:
        return Answer(Meaning.UNKNOWN)
    if status.payment_state in ("BOOKED", "CANCELLED"):
        return status
    return Answer(Meaning.REFUSED, status.code)
