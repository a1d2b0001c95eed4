"""What happens at a bank in a day, one function per story.

Strategy: a scenario takes a payer from the queue, talks through the `Teller`, and says what it expects; an answer
that means something else is a surprise, and surprises fail the play. Refusals that the payer's own bill explains (it
is in a batch debit, or the clearing day moved under a cancel) are expected where they can happen. `SCENARIOS` is the
table of stories with their weights.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from busbar.bank.book import EntryState
from busbar.bank.teller import PaperBill, Teller
from busbar.bank.wires import Answer, Bill, Damage, Meaning, Order

# How long a bank waits for a reply before it asks or reverses; by then the message itself has arrived.
REPLY_PATIENCE_SECONDS = 0.5
# An unanswered status enquiry is repeated: the payment may still be in the utility's queue.
STATUS_TRIES = 20
STATUS_PAUSE_SECONDS = 0.05
LOST_REPLIES_TO_FILE, LOST_REPLY_TRIES = 2, 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story and how often it happens, relative to the others."""

    play: Callable[[Teller], Awaitable[None]]
    weight: int
    needs_status_enquiry: bool = False  # only on wires that have one
    early: bool = False  # long before the cut-off: the bank puts its own date on what it was never answered


async def _bill_now(teller: Teller, paper: PaperBill) -> Bill | None:
    """Enquire one bill as of now; None where the utility refuses (and the payer goes home)."""
    answer = await teller.enquire(paper.customer_no, paper.billing_month)
    if not teller.expect("enquiry", answer, Meaning.OK):
        return None
    for bill in answer.bills:
        if bill.receivable_id in ("", paper.receivable_id):
            return bill
    return Bill(paper.receivable_id, paper.billing_month, answer.owed_fen, paper.partial_payment_allowed)


async def _payable(teller: Teller) -> tuple[PaperBill, Bill] | None:
    """The next payer's first bill and what it takes to pay it now."""
    paper = next(teller.payers)[0]
    bill = await _bill_now(teller, paper)
    return (paper, bill) if bill is not None and bill.owed_fen > 0 else None


async def _paid(teller: Teller, name: str) -> tuple[int, Order, Answer] | None:
    """A plain payment of one bill; None where it was refused for a reason of the bill's own."""
    payable = await _payable(teller)
    if payable is None:
        return None
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id, answer = await teller.pay(order)
    if not teller.expect(name, answer, Meaning.OK, Meaning.REFUSED) or answer.meaning is not Meaning.OK:
        return None
    return entry_id, order, answer


async def only_asks(teller: Teller) -> None:
    papers = next(teller.payers)
    answer = await teller.enquire(papers[0].customer_no)
    teller.expect("only asks", answer, Meaning.OK)


async def pays_one_bill(teller: Teller) -> None:
    await _paid(teller, "pays one bill")


async def pays_all_bills(teller: Teller) -> None:
    await _pay_all(teller, "pays all bills", 0)


async def pays_too_much(teller: Teller) -> None:
    """The excess goes to prepayment."""
    await _pay_all(teller, "pays too much", teller.chance.randint(1, 50) * 100)


async def deposits(teller: Teller) -> None:
    """Prepayment once the arrears are paid: refused where something is still owed; every third payer cancels it."""
    paper = next(teller.payers)[0]
    answer = await teller.enquire(paper.customer_no)
    if answer.meaning is Meaning.OK and answer.owed_fen > 0:
        too_early = teller.deposit(paper, 5_000)
        teller.expect("deposits with arrears", (await teller.pay(too_early))[1], Meaning.REFUSED)
        await teller.pay(teller.order(paper, answer.owed_fen, named=False))
    order = teller.deposit(paper, teller.chance.randint(1, 200) * 100)
    entry_id, answer = await teller.pay(order)
    booked = teller.expect("deposits", answer, Meaning.OK, Meaning.REFUSED) and answer.meaning is Meaning.OK
    if booked and teller.chance.randrange(3) == 0:
        teller.expect("cancels a deposit", await teller.cancel(entry_id, order), Meaning.OK, Meaning.REFUSED)


async def _pay_all(teller: Teller, name: str, extra_fen: int) -> None:
    paper = next(teller.payers)[0]
    answer = await teller.enquire(paper.customer_no)
    if teller.expect(name, answer, Meaning.OK) and answer.owed_fen > 0:
        order = teller.order(paper, answer.owed_fen + extra_fen, named=False)
        teller.expect(name, (await teller.pay(order))[1], Meaning.OK, Meaning.REFUSED)


async def pays_in_part(teller: Teller) -> None:
    payable = await _payable(teller)
    if payable is not None and payable[1].owed_fen > 1:
        paper, bill = payable
        order = teller.order(paper, max(1, bill.owed_fen // 3))
        answer = (await teller.pay(order))[1]
        allowed = Meaning.OK if paper.partial_payment_allowed else Meaning.REFUSED
        teller.expect("pays in part", answer, allowed, Meaning.REFUSED)


async def sends_twice(teller: Teller) -> None:
    """A resend with the same content gets the first answer again, and nothing is booked twice."""
    paid = await _paid(teller, "sends twice")
    if paid is not None:
        _, order, first = paid
        again = teller.note("PAYMENT", await teller.wire.pay(order))
        if teller.expect("sends twice", again, Meaning.OK) and again.reference_no != first.reference_no:
            teller.surprises.append("sends twice: a second reference number")


async def reuses_a_trace_number(teller: Teller) -> None:
    paid = await _paid(teller, "reuses a trace number")
    if paid is not None:
        other = replace(paid[1], amount_fen=paid[1].amount_fen + 100)
        answer = teller.note("PAYMENT", await teller.wire.pay(other))
        teller.expect("reuses a trace number", answer, Meaning.REFUSED)


async def _lost(teller: Teller) -> tuple[int, Order, Answer] | None:
    """A payment whose reply is lost, and what the status enquiry then says."""
    payable = await _payable(teller)
    if payable is None:
        return None
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id, answer = await teller.pay(order, Damage.LOST_REPLY)
    teller.expect("lost reply", answer, Meaning.NO_ANSWER)
    await asyncio.sleep(REPLY_PATIENCE_SECONDS)
    for _ in range(STATUS_TRIES):
        answer = await teller.status(entry_id, order, fence=False)
        if answer.meaning in (Meaning.OK, Meaning.REFUSED):
            break
        await asyncio.sleep(STATUS_PAUSE_SECONDS)
    else:
        # The message itself may have been lost: fence it, so that it can't be booked any more.
        if teller.wire.has_status_enquiry:
            answer = await teller.status(entry_id, order, fence=True)
    return entry_id, order, answer


async def loses_a_reply_and_asks(teller: Teller) -> None:
    lost = await _lost(teller)
    if lost is not None:
        teller.expect("loses a reply and asks", lost[2], Meaning.OK, Meaning.REFUSED)


async def loses_a_reply_and_reverses(teller: Teller) -> None:
    lost = await _lost(teller)
    if lost is not None and lost[2].meaning is Meaning.OK:
        entry_id, order, _ = lost
        if teller.book.entry(entry_id).state is EntryState.ACCEPTED:
            teller.expect("loses a reply and reverses", await teller.reverse(entry_id, order), Meaning.OK)


async def loses_a_reply_and_reverses_at_once(teller: Teller) -> None:
    """The bank asks nothing, it takes the payment back."""
    payable = await _payable(teller)
    if payable is None:
        return
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id, answer = await teller.pay(order, Damage.LOST_REPLY)
    teller.expect("lost reply", answer, Meaning.NO_ANSWER)
    await asyncio.sleep(REPLY_PATIENCE_SECONDS)
    teller.expect("loses a reply and reverses at once", await teller.reverse(entry_id, order), Meaning.OK)


async def loses_replies_and_files(teller: Teller) -> None:
    """The bank never asks what became of a payment: it believes its own book. Two payers, so that one may be left out.

    That the utility books it is sure without an answer: the same bill was paid and taken back a moment before.
    """
    lost = 0
    for _ in range(LOST_REPLY_TRIES):
        lost += await _loses_a_reply_and_files(teller)
        if lost == LOST_REPLIES_TO_FILE:
            return
    teller.surprises.append("loses replies and files: too few payers could pay")


async def _loses_a_reply_and_files(teller: Teller) -> bool:
    payable = await _payable(teller)
    if payable is None:
        return False
    paper, bill = payable
    first = teller.order(paper, bill.owed_fen)
    entry_id, answer = await teller.pay(first)
    if not teller.expect("pays before it loses a reply", answer, Meaning.OK, Meaning.REFUSED):
        return False
    if answer.meaning is not Meaning.OK:
        return False
    if not teller.expect("takes back before it loses a reply", await teller.reverse(entry_id, first), Meaning.OK):
        return False
    again = teller.order(paper, bill.owed_fen)
    entry_id, answer = await teller.pay(again, Damage.LOST_REPLY)
    teller.expect("lost reply", answer, Meaning.NO_ANSWER)
    teller.book.accept(entry_id, again.trace_date, "")
    return True


async def reversal_overtakes(teller: Teller) -> None:
    """The reversal arrives first; the late payment must be refused."""
    payable = await _payable(teller)
    if payable is None:
        return
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id = teller.book_payment(order)
    teller.expect("reversal overtakes", await teller.reverse(entry_id, order), Meaning.OK)
    late = teller.note("PAYMENT", await teller.wire.pay(order))
    teller.expect("late payment after its reversal", late, Meaning.REFUSED)


async def fences(teller: Teller) -> None:
    """A status enquiry that fences: what is not found can't be booked any more."""
    payable = await _payable(teller)
    if payable is None:
        return
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id = teller.book_payment(order)
    answer = await teller.status(entry_id, order, fence=True)
    if answer.payment_state != "FENCED":
        teller.surprises.append(f"fences: state {answer.payment_state or 'none'}")
    late = teller.note("PAYMENT", await teller.wire.pay(order))
    teller.expect("late payment after a fence", late, Meaning.REFUSED)


async def cancels_the_same_day(teller: Teller) -> None:
    paid = await _paid(teller, "cancels the same day")
    if paid is not None:
        # Refused where the cut-off came in between: the payment then stands.
        teller.expect("cancels", await teller.cancel(paid[0], paid[1]), Meaning.OK, Meaning.REFUSED)


async def cancels_twice(teller: Teller) -> None:
    paid = await _paid(teller, "cancels twice")
    if paid is not None:
        teller.expect("cancels", await teller.cancel(paid[0], paid[1]), Meaning.OK, Meaning.REFUSED)
        teller.expect("cancels a second time", await teller.cancel(paid[0], paid[1]), Meaning.REFUSED)


async def pays_a_stale_amount(teller: Teller) -> None:
    """The amount on the paper was right once; penalties have grown since."""
    paper = next(teller.payers)[0]
    overdue = paper.due_date + timedelta(days=1) < teller.now().date()
    bill = await _bill_now(teller, paper)
    if bill is not None and overdue and bill.owed_fen > paper.principal_fen:
        order = teller.order(paper, paper.principal_fen)
        meanings = (Meaning.REFUSED, Meaning.OK) if paper.partial_payment_allowed else (Meaning.REFUSED,)
        teller.expect("pays a stale amount", (await teller.pay(order))[1], *meanings)


async def unknown_customer(teller: Teller) -> None:
    paper = replace(next(teller.payers)[0], customer_no=f"99{teller.chance.randrange(10**10):010d}", receivable_id="R9")
    teller.expect("unknown customer", await teller.enquire(paper.customer_no), Meaning.REFUSED)
    answer = (await teller.pay(teller.order(paper, 1000)))[1]
    teller.expect("unknown customer pays", answer, Meaning.REFUSED)


async def forged(teller: Teller) -> None:
    """A signature or MAC by another key: not trusted, so that its refusal is no word about the trace.

    The trace number stays free: the real message is sent, and its answer decides what becomes of the bank's entry.
    """
    payable = await _payable(teller)
    if payable is None:
        return
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id, answer = await teller.pay(order, Damage.WRONG_KEY)
    teller.expect("forged", answer, Meaning.UNKNOWN)
    real = teller.note("PAYMENT", await teller.wire.pay(order))
    teller.expect("the real message after a forged one", real, Meaning.OK, Meaning.REFUSED)
    teller.settle(entry_id, real)


async def replayed(teller: Teller) -> None:
    """The very same bytes again: refused as a replay, or answered with the stored outcome; never booked twice."""
    payable = await _payable(teller)
    if payable is None:
        return
    order = teller.order(payable[0], payable[1].owed_fen)
    entry_id, first = await teller.pay(order, Damage.REPLAY)
    if teller.wire.has_status_enquiry:
        teller.expect("replayed", first, Meaning.UNKNOWN)
        await teller.status(entry_id, order, fence=False)
    else:
        teller.expect("replayed", first, Meaning.OK, Meaning.REFUSED)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(only_asks, 14),
    Scenario(pays_one_bill, 44),
    Scenario(pays_all_bills, 14),
    Scenario(pays_too_much, 4),
    Scenario(pays_in_part, 4),
    Scenario(deposits, 3),
    Scenario(sends_twice, 4),
    Scenario(reuses_a_trace_number, 2),
    Scenario(loses_a_reply_and_asks, 3),
    Scenario(loses_a_reply_and_reverses, 3),
    Scenario(loses_a_reply_and_reverses_at_once, 2, early=True),
    Scenario(loses_replies_and_files, 1, early=True),
    Scenario(reversal_overtakes, 3),
    Scenario(fences, 2, needs_status_enquiry=True),
    Scenario(cancels_the_same_day, 4),
    Scenario(cancels_twice, 2),
    Scenario(pays_a_stale_amount, 6),
    Scenario(unknown_customer, 2),
    Scenario(forged, 2),
    Scenario(replayed, 2),
)
