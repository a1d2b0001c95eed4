"""The life of a payment from end to end on each wire: what the bank is told, and every row that it leaves.

Strategy: one story a test, told by the simulated bank's own lines (which believe no reply whose MAC or signature is
wrong), and held against the ledger's rows. Figures are literal: see `house` for what each payer owes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from busbar.bank.wires import Answer, Meaning, Order, Wire
from gateway.ledger.evidence import unpack

from .house import BANK_OF, ISO, OLD_PENALTY_FEN, OLD_PRINCIPAL_FEN, WIRES, XML, House, Payer

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODES = {
    ISO: {"duplicate": "94", "fenced": "U3", "twice": "80", "not today": "80", "paid": "U7", "not signed on": "U4"},
    XML: {"duplicate": "94", "fenced": "205", "twice": "206", "not today": "14", "paid": "210"},
}


@pytest_asyncio.fixture(loop_scope="module", params=WIRES)
async def line(request: pytest.FixtureRequest, house: House) -> AsyncIterator[tuple[str, Wire]]:
    name: str = request.param
    async with house.wire(name) as wire:
        yield name, wire
    await house.check_books()
    house.assert_log_is_clean()


def trace(house: House, wire: Wire, order: Order) -> Any:
    """The trace of a reversal: on the ISO wire it is the payment's own."""
    return (house.day, house.trace_no()) if wire.has_status_enquiry else (order.trace_date, order.trace_no)


async def cancel(house: House, wire: Wire, order: Order, paid: Answer) -> Answer:
    return await wire.cancel(order, paid.reference_no, (house.day, house.trace_no()))


async def reverse(house: House, wire: Wire, order: Order) -> Answer:
    return await wire.reverse(order, trace(house, wire, order))


async def owed(house: House, wire: Wire, payer: Payer) -> Answer:
    return await wire.enquire(payer.customer_no, "", (house.day, house.trace_no()))


async def paid_once(house: House, wire: Wire, order: Order) -> tuple[Answer, dict[str, Any]]:
    """The payment is approved and stands in the ledger once, as the bank was told."""
    answer = await wire.pay(order)
    assert answer.meaning is Meaning.OK
    [row] = await house.payments(order.trace_no)
    assert (row["kind"], row["reference_no"], row["clearing_date"]) == ("PAYMENT", answer.reference_no, house.day)
    assert (row["customer_no"], row["amount_fen"]) == (order.customer_no, order.amount_fen)
    assert (row["trace_date"], row["paid_at"]) == (order.trace_date, order.paid_at)
    assert answer.clearing_date == house.day
    return answer, row


async def undone_once(house: House, wire: Wire, order: Order, answer: Answer, kind: str) -> None:
    """The undoing is a posting of its own, on the present clearing date, with the payment's entries turned."""
    [original] = [row for row in await house.payments(order.trace_no) if row["kind"] == "PAYMENT"]
    [row] = await house.fetch(
        "SELECT * FROM {s}.payment WHERE original_payment_id = $1 AND customer_no = $2",
        original["payment_id"],
        original["customer_no"],
    )
    assert (row["kind"], row["reference_no"], row["clearing_date"]) == (kind, answer.reference_no, house.day)
    before = await house.entries(original["payment_id"], original["reference_no"])
    after = await house.entries(row["payment_id"], row["reference_no"])
    assert after == {entry: -fen for entry, fen in before.items()}


async def test_enquiry_tells_each_bill_and_changes_nothing(house: House, line: tuple[str, Wire]) -> None:
    _, wire = line
    payer, before = house.payer(), await house.rows()
    answer = await owed(house, wire, payer)
    assert (answer.meaning, answer.owed_fen) == (Meaning.OK, payer.all_fen)
    if wire.has_status_enquiry:  # this wire lists the bills, oldest first
        assert [(bill.receivable_id, bill.owed_fen) for bill in answer.bills] == [
            (payer.old_bill, OLD_PRINCIPAL_FEN + OLD_PENALTY_FEN),
            (payer.new_bill, payer.new_fen),
        ]
    one = await wire.enquire(payer.customer_no, payer.new_month, (house.day, house.trace_no()))
    assert one.owed_fen == payer.new_fen
    assert await house.rows() == before


async def test_payment_leaves_entries_evidence_and_one_trace_id(house: House, line: tuple[str, Wire]) -> None:
    name, wire = line
    payer, before, logged = house.payer(), await house.rows(), len(house.log.getvalue())
    order = house.order(payer, payer.all_fen, month="")
    answer, row = await paid_once(house, wire, order)
    assert await house.entries(row["payment_id"], answer.reference_no) == {
        ("DUE_FROM_BANK", None): payer.all_fen,
        ("RECEIVABLE", payer.new_bill): -payer.new_fen,
        ("RECEIVABLE", payer.old_bill): -OLD_PRINCIPAL_FEN,
        ("PENALTY_INCOME", payer.old_bill): -OLD_PENALTY_FEN,
    }
    [evidence] = await house.evidence(order.trace_no)
    assert len(row["trace_id"]) == 16
    assert (evidence["trace_id"], evidence["bank"]) == (row["trace_id"], BANK_OF[name])
    request = unpack(evidence["request"])
    assert payer.customer_no.encode() in request
    assert (b"<Msg" in request) == (name == XML)
    [operation] = await house.fetch("SELECT * FROM {s}.operation WHERE trace_no = $1", order.trace_no)
    assert (operation["trace_id"], operation["payment_id"]) == (row["trace_id"], row["payment_id"])
    # Two running sums of two bills were rewritten: all else is new rows, and these.
    changed = (await house.rows()).rows - before.rows
    added = {table: sum(1 for one, _ in changed.elements() if one == table) for table, _ in changed}
    assert added == {"payment": 1, "entry": 4, "operation": 1, "evidence": 1, "receivable": 2}
    assert house.lines(logged) == []
    again = await owed(house, wire, payer)
    assert again.meaning is Meaning.REFUSED


async def test_excess_goes_to_prepayment_and_is_drawn_by_the_amount_asked(house: House, line: tuple[str, Wire]) -> None:
    _, wire = line
    payer = house.payer()
    old = house.order(payer, OLD_PRINCIPAL_FEN + OLD_PENALTY_FEN, month="199912", bill=payer.old_bill)
    await paid_once(house, wire, old)
    rich = house.order(payer, payer.new_fen + 700, month="")
    answer, row = await paid_once(house, wire, rich)
    assert (await house.entries(row["payment_id"], answer.reference_no))["PREPAYMENT", None] == -700
    assert (await reverse(house, wire, rich)).meaning is Meaning.OK
    [customer] = await house.fetch("SELECT * FROM {s}.customer WHERE customer_no = $1", payer.customer_no)
    assert customer["prepayment_balance_fen"] == 0
    assert (await owed(house, wire, payer)).owed_fen == payer.new_fen


async def test_resend_gets_the_stored_answer_and_other_content_is_a_duplicate(
    house: House, line: tuple[str, Wire]
) -> None:
    name, wire = line
    order = house.order(house.payer())
    answer, row = await paid_once(house, wire, order)
    before, logged = await house.rows(), len(house.log.getvalue())
    again = await wire.pay(order)
    assert (again.meaning, again.reference_no, again.clearing_date) == (Meaning.OK, answer.reference_no, house.day)
    assert (await house.rows()).added_since(before) == {"evidence": 1}
    assert house.lines(logged) == []
    other = await wire.pay(replace(order, amount_fen=order.amount_fen - 1))
    assert (other.meaning, other.code) == (Meaning.REFUSED, CODES[name]["duplicate"])
    assert (await house.rows()).added_since(before) == {"evidence": 2}
    [refused] = house.lines(logged)
    assert (refused["reason"], refused["trace_no"]) == ("DUPLICATE_TRACE", order.trace_no)
    kept = await house.evidence(order.trace_no)
    assert [one["trace_id"] for one in kept if one["trace_id"] != row["trace_id"]][-1] == refused["trace_id"]


async def test_same_day_cancel_opens_the_bill_again_and_works_once(house: House, line: tuple[str, Wire]) -> None:
    name, wire = line
    payer = house.payer()
    order = house.order(payer)
    paid, _ = await paid_once(house, wire, order)
    twice = await wire.pay(house.order(payer))
    assert (twice.meaning, twice.code) == (Meaning.REFUSED, CODES[name]["paid"])
    cancelled = await cancel(house, wire, order, paid)
    assert (cancelled.meaning, cancelled.clearing_date) == (Meaning.OK, house.day)
    await undone_once(house, wire, order, cancelled, "SAME_DAY_CANCEL")
    assert (await owed(house, wire, payer)).owed_fen == payer.all_fen
    again = await cancel(house, wire, order, paid)
    assert (again.meaning, again.code) == (Meaning.REFUSED, CODES[name]["twice"])
    await paid_once(house, wire, house.order(payer))


async def test_reversal_after_the_payment(house: House, line: tuple[str, Wire]) -> None:
    _, wire = line
    payer = house.payer()
    order = house.order(payer)
    await paid_once(house, wire, order)
    when = trace(house, wire, order)
    answer = await wire.reverse(order, when)
    assert answer.meaning is Meaning.OK
    await undone_once(house, wire, order, answer, "REVERSAL")
    before = await house.rows()
    again = await wire.reverse(order, when)
    assert (again.meaning, again.reference_no) == (Meaning.OK, answer.reference_no)
    assert (await house.rows()).added_since(before) == {"evidence": 1}
    # The payment's own message again gets its own stored answer: it was booked once, and stays undone.
    assert (await wire.pay(order)).meaning is Meaning.OK
    assert len([row for row in await house.payments(order.trace_no) if row["kind"] == "PAYMENT"]) == 1
    assert (await owed(house, wire, payer)).owed_fen == payer.all_fen


async def test_reversal_that_overtakes_fences_the_payment(house: House, line: tuple[str, Wire]) -> None:
    name, wire = line
    payer = house.payer()
    order = house.order(payer)
    before = await house.rows()
    answer = await reverse(house, wire, order)
    assert (answer.meaning, answer.reference_no) == (Meaning.OK, "")
    assert (await house.rows()).added_since(before) == {"operation": 2, "evidence": 1}
    [fence] = await house.fetch("SELECT * FROM {s}.operation WHERE trace_no = $1 AND fence", order.trace_no)
    assert (fence["kind"], fence["payment_id"], fence["fenced_by_kind"]) == ("PAYMENT", None, "REVERSAL")
    late = await wire.pay(order)
    assert (late.meaning, late.code) == (Meaning.REFUSED, CODES[name]["fenced"])
    assert [row for row in await house.payments(order.trace_no) if row["kind"] == "PAYMENT"] == []
    assert (await owed(house, wire, payer)).owed_fen == payer.all_fen


async def test_cut_off_in_between(house: House, line: tuple[str, Wire]) -> None:
    """What was paid before the cut-off can't be cancelled after it; a reversal is booked on the new day."""
    name, wire = line
    payer, other = house.payer(), house.payer()
    order, standing = house.order(payer), house.order(other)
    paid, _ = await paid_once(house, wire, order)
    first = await wire.pay(standing)
    old_day, new_day = house.day, await house.cut_off()
    refused = await cancel(house, wire, order, paid)
    assert (refused.meaning, refused.code) == (Meaning.REFUSED, CODES[name]["not today"])
    # A resend after the cut-off says what was booked, on the day on which it was booked.
    again = await wire.pay(standing)
    assert (again.reference_no, again.clearing_date) == (first.reference_no, old_day)
    answer = await reverse(house, wire, order)
    assert (answer.meaning, answer.clearing_date) == (Meaning.OK, new_day)
    await undone_once(house, wire, order, answer, "NEXT_DAY_REVERSAL")
    [row] = [row for row in await house.payments(order.trace_no) if row["kind"] == "PAYMENT"]
    assert row["clearing_date"] == old_day
    await paid_once(house, wire, house.order(payer))


async def test_status_enquiry(house: House) -> None:
    """Booked, cancelled, refused, fenced; not found is unknown, unless the question itself fences."""
    async with house.wire(XML) as wire:

        async def state(order: Order, *, fence: bool = False) -> tuple[Meaning, str, str]:
            answer = await wire.status(order, (house.day, house.trace_no()), fence=fence)
            return answer.meaning, answer.payment_state, answer.reference_no

        payer = house.payer()
        order = house.order(payer)
        before = await house.rows()
        assert (await state(order))[:2] == (Meaning.UNKNOWN, "")
        assert await house.rows() == before
        paid, _ = await paid_once(house, wire, order)
        assert await state(order) == (Meaning.OK, "BOOKED", paid.reference_no)
        await cancel(house, wire, order, paid)
        assert await state(order) == (Meaning.OK, "CANCELLED", paid.reference_no)
        wrong = house.order(payer, payer.new_fen + 1)
        assert (await wire.pay(wrong)).meaning is Meaning.REFUSED
        assert await state(wrong) == (Meaning.OK, "REFUSED", "")
        late = house.order(payer)
        before = await house.rows()
        assert await state(late, fence=True) == (Meaning.OK, "FENCED", "")
        assert (await house.rows()).added_since(before) == {"operation": 2, "evidence": 1}
        refused = await wire.pay(late)
        assert (refused.meaning, refused.code) == (Meaning.REFUSED, "205")
        assert await state(late) == (Meaning.OK, "FENCED", "")
        assert await house.payments(late.trace_no) == []
    await house.check_books()


async def test_signed_off_refuses_payments_and_answers_reversals(house: House) -> None:
    async with house.wire(ISO) as wire:
        payer = house.payer()
        order = house.order(payer)
        await paid_once(house, wire, order)
        assert (await wire.sign(on=False, trace_no=house.trace_no())).meaning is Meaning.OK
        late, before = house.order(house.payer()), await house.rows()
        answer = await wire.pay(late)
        assert (answer.meaning, answer.code) == (Meaning.RETRY, "U4")
        assert (await house.rows()).added_since(before) == {"evidence": 1}
        assert (await owed(house, wire, payer)).code == "U4"
        undone = await reverse(house, wire, order)
        assert undone.meaning is Meaning.OK
        await undone_once(house, wire, order, undone, "REVERSAL")
        assert (await wire.sign(on=True, trace_no=house.trace_no())).meaning is Meaning.OK
        # "Later" consumed nothing: the same message is accepted now.
        await paid_once(house, wire, late)
    await house.check_books()


async def test_one_banks_payment_is_nothing_to_the_other(house: House) -> None:
    """The other bank can neither cancel nor reverse it, nor learn of it, whatever it names."""
    async with house.wire(ISO) as ours, house.wire(XML) as theirs:
        order = house.order(house.payer())
        paid, _ = await paid_once(house, ours, order)
        before = await house.rows()
        stolen = await cancel(house, theirs, order, paid)
        assert (stolen.meaning, stolen.code) == (Meaning.REFUSED, "15")
        asked = await theirs.status(order, (house.day, house.trace_no()), fence=False)
        assert (asked.meaning, asked.payment_state) == (Meaning.UNKNOWN, "")
        assert (await house.rows()).added_since(before) == {"operation": 1, "evidence": 1}
        assert (await ours.pay(order)).reference_no == paid.reference_no
    house.assert_log_is_clean()
