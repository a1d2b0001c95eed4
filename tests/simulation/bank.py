"""A bank that keeps to the wire page's rules, whatever the lines do.

Strategy: every order of a payer is one task that ends when the bank knows for certain what became of it. The rules:

1. No answer, or `unknown_outcome`: send the same message again, or ask for the status where the wire can; then reverse.
2. A reversal, a cancel, and whatever else was begun is repeated until it has a final answer.
3. `retry_later`: the same message again after a pause. `final_refusal`: the payer gets the money back.
4. Some reverse what was answered (their own booking failed), some reverse in the same breath as they pay, so that the
   reversal may overtake the payment; some payers change their mind at the counter (same-day cancel), and some tellers
   cancel what the bank's system reverses at the same time.

Everything that a bank hears, it tells the auditor, also what it no longer waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from gateway.banks.profile import BankProfile
from gateway.operations import OperationKind
from gateway.outcomes import OutcomeClass, PaymentState

from .wires import ZONE, Answer, Order, Token, Wire

if TYPE_CHECKING:
    from .world import World

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 20.0
_FINAL = (OutcomeClass.SUCCESS, OutcomeClass.FINAL_REFUSAL)


class Conclusion(Enum):
    """What the bank's book says in the end."""

    BOOKED = "BOOKED"  # the utility has the money
    RETURNED = "RETURNED"  # the payer has it back


class Bank:
    """`wire` and `lines` (one for each address of the gateway) are handed in; `run` plays the orders."""

    def __init__(self, world: World, profile: BankProfile, wire: Wire, skew_seconds: float) -> None:
        self.world = world
        self.profile = profile
        self.wire = wire
        self.lines: list[Any] = []
        self.orders: list[Order] = []
        self.conclusions: dict[Order, Conclusion] = {}
        self._skew = timedelta(seconds=skew_seconds)
        self._last_trace = 0
        self._waiting: dict[Token, asyncio.Future[Answer]] = {}
        self._order_of: dict[Token, Order] = {}
        self._signing_on: asyncio.Task[Answer | None] | None = None

    @property
    def code(self) -> str:
        return self.profile.code

    def now(self) -> datetime:
        return (self.world.true_time() + self._skew).astimezone(ZONE)

    def next_trace(self) -> str:
        self._last_trace += 1
        return f"{self._last_trace:012d}"

    async def run(self, starts: list[tuple[float, Order]], sign_off_after: float | None) -> None:
        """Play every order to its end; each begins after so many seconds."""
        tasks = [self.world.loop.create_task(self._begin(seconds, order)) for seconds, order in starts]
        if sign_off_after is not None:
            tasks.append(self.world.loop.create_task(self._sign_off(sign_off_after)))
        await asyncio.gather(*tasks)

    async def _begin(self, seconds: float, order: Order) -> None:
        await asyncio.sleep(seconds)
        order.paid_at = self.now()
        self.orders.append(order)
        conclusion = await self._drive(order)
        self.conclusions[order] = conclusion
        self.world.note(self.code, "concluded", order.key.trace_no, conclusion.value)

    # --- one order from its beginning to its end

    async def _drive(self, order: Order) -> Conclusion:
        chance = self.world.chance
        if chance.random() < 0.5:
            await self._enquire(order)
        if chance.random() < 0.1:
            self.world.tally["reversals sent together with their payment"] += 1
            self._order_of[OperationKind.PAYMENT, order.key.trace_no] = order
            self._send(self._pay_message(order))
            return await self._reverse(order)
        answer = await self._pay(order)
        if answer is None:
            return await self._reverse(order)
        if answer.meaning is OutcomeClass.RETRY_LATER:
            self.world.tally["payers who went away when told to try later"] += 1
            return Conclusion.RETURNED
        if answer.meaning is OutcomeClass.FINAL_REFUSAL:
            return Conclusion.RETURNED
        wish = chance.random()
        if wish < 0.2:
            await asyncio.sleep(chance.random() * self.world.span_seconds)
            return await self._cancel(order)
        if wish < 0.35:
            return await self._reverse(order)
        return Conclusion.BOOKED

    async def _enquire(self, order: Order) -> None:
        """One question; the answer may change what the payer pays."""
        trace_no = self.next_trace()
        message = self.wire.enquire(trace_no, self.now(), order)
        answer = await self._ask((OperationKind.BILL_ENQUIRY, trace_no), order, message)
        if answer is not None and answer.meaning is OutcomeClass.SUCCESS and answer.amount_fen:
            order.amount_fen = answer.amount_fen

    def _pay_message(self, order: Order) -> Any:
        self.world.auditor.pays(order)
        return self.wire.pay(order)

    async def _pay(self, order: Order) -> Answer | None:
        """The final answer to a payment; None where the bank gave up waiting for one, and must reverse.

        `retry_later` is an answer too where every copy that was sent has one: nothing is booked, and the payer may go.
        """
        token = (OperationKind.PAYMENT, order.key.trace_no)
        left = self.world.chance.choice((1, 2, 3))
        pause = FIRST_PAUSE_SECONDS
        while left:
            answer = await self._ask(token, order, self._pay_message(order))
            if answer is not None and answer.meaning in _FINAL:
                return answer
            if answer is not None and answer.meaning is OutcomeClass.RETRY_LATER:
                if order.key in self.world.auditor.not_now and self.world.chance.random() < 0.3:
                    return answer
                await self._sign_on()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                left -= self.world.chance.random() < 0.3
                continue
            left -= 1
            if self.wire.has_status_enquiry and self.world.chance.random() < 0.6:
                found = await self._ask_status(order)
                if found is not None:
                    return found
        return None

    async def _ask_status(self, order: Order) -> Answer | None:
        """The payment's fate as if it had been its answer; None where it is still open."""
        trace_no = self.next_trace()
        fence = self.world.chance.random() < 0.6
        message = self.wire.ask_status(trace_no, order, fence=fence)
        self.world.tally["status enquiries that fence" if fence else "status enquiries"] += 1
        answer = await self._ask((OperationKind.STATUS_ENQUIRY, trace_no), order, message)
        if answer is None or answer.state is None:
            return None
        booked = answer.state is PaymentState.BOOKED
        meaning = OutcomeClass.SUCCESS if booked else OutcomeClass.FINAL_REFUSAL
        return Answer(OperationKind.PAYMENT, order.key.trace_no, meaning, answer.code)

    async def _reverse(self, order: Order) -> Conclusion:
        token = (OperationKind.REVERSAL, order.key.trace_no)
        self.world.auditor.wants_undone(order)
        answer = await self._until_final(token, order, lambda: self.wire.reverse(order, self.now()))
        return self._after_undo(order, answer)

    async def _cancel(self, order: Order) -> Conclusion:
        trace_no = self.next_trace()
        self.world.auditor.wants_undone(order)
        token = (OperationKind.SAME_DAY_CANCEL, trace_no)
        if self.world.chance.random() < 0.3:
            self.world.tally["cancels and reversals of the same payment"] += 1
            self._order_of[token] = order
            self._send(self.wire.cancel(trace_no, self.now(), order))
            return await self._reverse(order)
        answer = await self._until_final(token, order, lambda: self.wire.cancel(trace_no, self.now(), order))
        if answer.meaning is OutcomeClass.FINAL_REFUSAL and self.world.chance.random() < 0.5:
            return await self._reverse(order)
        return self._after_undo(order, answer)

    def _after_undo(self, order: Order, answer: Answer) -> Conclusion:
        """A refused cancel or reversal leaves the payment as it was: undone already, or standing."""
        if answer.meaning is OutcomeClass.SUCCESS or answer.code.startswith(("U5", "80/8081", "ALREADY_REVERSED")):
            return Conclusion.RETURNED
        return Conclusion.BOOKED

    async def _until_final(self, token: Token, order: Order, message: Callable[[], Any]) -> Answer:
        pause = FIRST_PAUSE_SECONDS
        while True:
            answer = await self._ask(token, order, message())
            if answer is not None and answer.meaning in _FINAL:
                return answer
            if answer is not None and answer.meaning is OutcomeClass.RETRY_LATER:
                await self._sign_on()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    # --- sessions

    async def _sign_on(self) -> None:
        """Sign on again where the bank must; orders that need it at the same time share one."""
        if not self.profile.sign_on_required:
            return
        if self._signing_on is None or self._signing_on.done():
            self._signing_on = self.world.loop.create_task(self.sign(on=True))
        await self._signing_on

    async def _sign_off(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.sign(on=False)

    async def sign(self, *, on: bool) -> Answer | None:
        trace_no = self.next_trace()
        token = (OperationKind.SIGN_ON if on else OperationKind.SIGN_OFF, trace_no)
        return await self._ask(token, None, self.wire.sign(trace_no, self.now(), on=on))

    # --- sending and hearing

    def _send(self, message: Any) -> None:
        self.world.chance.choice(self.lines).send(message)

    async def _ask(self, token: Token, order: Order | None, message: Any) -> Answer | None:
        """The next answer that fits `token`, of whichever copy; None where none comes in time."""
        if order is not None:
            self._order_of[token] = order
        future: asyncio.Future[Answer] = self.world.loop.create_future()
        self._waiting[token] = future
        self._send(message)
        self.world.note(self.code, "asked", *token)
        try:
            return await asyncio.wait_for(future, self.world.weather.bank_patience_seconds)
        except TimeoutError:
            self.world.tally["requests without an answer in time"] += 1
            return None

    def hear(self, reply: Any) -> None:
        """A reply came off a line, late or not, asked for or not."""
        answer = self.wire.read(reply, self.now().date())
        token = (answer.kind, answer.trace_no)
        order = self._order_of.get(token)
        self.world.note(self.code, "heard", *token, answer.meaning.value, answer.code)
        self.world.tally[f"answers: {answer.kind.value} {answer.meaning.value}"] += 1
        if order is not None:
            self._learn(order, answer)
            self.world.auditor.heard(order, answer)
        waiting = self._waiting.get(token)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _learn(self, order: Order, answer: Answer) -> None:
        is_booked = answer.kind is OperationKind.PAYMENT or answer.state is PaymentState.BOOKED
        if is_booked and answer.meaning is OutcomeClass.SUCCESS and answer.reference_no:
            order.reference_no, order.clearing_date = answer.reference_no, answer.clearing_date
