"""Bill enquiries and payments: what is booked, in which entries, and one row for every refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from gateway.ledger.booking import BrokenLedgerError
from gateway.ledger.model import NOTHING, Account, Entry, PostingKind, Receivable
from gateway.ledger.rules import Rules
from gateway.operations import ALL_BILLS, Payment
from gateway.outcomes import Approved, BillsFound, Declined, Reason, Receipt, ReceiptLine
from protocols.money import Money

from .worlds import CUSTOMER, NOW, World, bill, customer, day, digest_of, three_bills

Ask = Callable[[World], Payment]


def test_a_named_bill_is_booked_as_entries() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    outcome, effects = world.do(payment)
    receipt = Receipt((ReceiptLine("R04", 202404, Money(30_000), Money(1_500)),), Money(0))
    assert outcome == Approved(day("2024-05-20"), "030000000001", Money(31_500), receipt)
    assert effects.entries == (
        Entry(Account.DUE_FROM_BANK, 31_500),
        Entry(Account.RECEIVABLE, -30_000, "R04", 202404),
        Entry(Account.PENALTY_INCOME, -1_500, "R04", 202404),
    )
    posting = effects.posting
    assert posting is not None
    assert (posting.kind, posting.payment_id, posting.key) == (PostingKind.PAYMENT, 1, payment.key)
    assert (posting.paid_date, posting.clearing_date, posting.trace_id) == (
        day("2024-05-20"),
        day("2024-05-20"),
        "trace-1",
    )
    assert (posting.outlet, posting.operator, posting.channel) == ("0201", "007", payment.channel)
    assert world.bill("R04").outstanding_principal_fen == 0
    assert [(record.key, record.outcome, record.payment_id) for record in effects.records] == [
        (payment.key, outcome, 1)
    ]
    assert effects.customer is None


@pytest.mark.parametrize(
    ("amount_fen", "lines", "prepayment_fen"),
    [
        pytest.param(127_100, [("R03", 50_000, 5_600), ("R04", 30_000, 1_500), ("R05", 40_000, 0)], 0, id="all"),
        pytest.param(80_000, [("R03", 50_000, 5_600), ("R04", 22_900, 1_500)], 0, id="part"),
        pytest.param(5_000, [("R03", 0, 5_000)], 0, id="penalty only"),
        pytest.param(130_000, [("R03", 50_000, 5_600), ("R04", 30_000, 1_500), ("R05", 40_000, 0)], 2_900, id="over"),
    ],
)
def test_all_bills_take_any_amount(amount_fen: int, lines: list[tuple[str, int, int]], prepayment_fen: int) -> None:
    world = World.of(three_bills())
    outcome, effects = world.do(world.payment(amount_fen))
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, Receipt)
    assert [(line.receivable_id, line.principal.minor, line.penalty.minor) for line in outcome.detail.lines] == lines
    assert outcome.detail.prepayment == Money(prepayment_fen)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == prepayment_fen
    if prepayment_fen:
        assert effects.entries[-1] == Entry(Account.PREPAYMENT, -prepayment_fen)


def test_a_shortfall_may_leave_whole_bills_that_forbid_part_payment() -> None:
    world = World.of(three_bills(partial=False))
    assert isinstance(world.answer(world.payment(55_600)), Approved)
    assert isinstance(world.answer(world.payment(31_500)), Approved)
    assert isinstance(world.answer(world.payment(40_000)), Approved)


def test_a_billing_month_is_paid_exactly() -> None:
    world = World.of([*three_bills(partial=False), bill("R04B", 202404, 1_000, "2024-06-25", partial=False)])
    outcome = world.answer(world.payment(32_500, month=202404))
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, Receipt)
    assert [line.receivable_id for line in outcome.detail.lines] == ["R04", "R04B"]


def test_the_open_bill_of_a_month_is_paid_beside_its_settled_one() -> None:
    world = World.of([*three_bills(), bill("R04B", 202404, 1_000, "2024-06-25")])
    assert isinstance(world.answer(world.payment(1_000, "R04B")), Approved)
    assert isinstance(world.answer(world.payment(31_500, month=202404)), Approved)


def test_a_bill_named_twice_is_one_bill() -> None:
    world = World.of(three_bills(partial=False))
    assert isinstance(world.answer(world.payment(31_500, "R04", "R04")), Approved)


def test_penalty_follows_the_payers_day_not_the_clearing_date() -> None:
    world = World.of(three_bills(), clearing="2024-05-22")
    outcome, effects = world.do(world.payment(31_500, "R04", paid="2024-05-20"))
    assert isinstance(outcome, Approved)
    assert effects.posting is not None
    assert (effects.posting.paid_date, effects.posting.clearing_date) == (day("2024-05-20"), day("2024-05-22"))


def test_the_payers_day_is_the_banks_calendar_day() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04", paid="2024-05-20")
    # Half past seven in the morning of 20 May in Shanghai is still 19 May in UTC.
    early = payment.paid_at.replace(hour=7, minute=30)
    _, effects = world.do(
        Payment(payment.key, CUSTOMER, payment.selection, payment.amount, early, payment.channel, payment.settle_method)
    )
    assert effects.posting is not None
    assert effects.posting.paid_date == day("2024-05-20")


# --- prepayment


def test_what_the_enquiry_asks_for_settles_with_the_balance() -> None:
    world = World.of(three_bills(partial=False), [customer(prepayment_fen=27_100)])
    found = world.answer(world.enquiry())
    assert isinstance(found, Approved)
    assert isinstance(found.detail, BillsFound)
    assert found.detail.amount_to_pay == Money(100_000)
    outcome, effects = world.do(world.payment(100_000))
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, Receipt)
    assert outcome.detail.prepayment == Money(-27_100)
    assert effects.entries[-1] == Entry(Account.PREPAYMENT, 27_100)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 0
    assert world.answer(world.enquiry()) == Declined(Reason.NO_ARREARS, clearing_date=day("2024-05-20"))


def test_a_named_bill_may_be_paid_less_the_balance() -> None:
    world = World.of(three_bills(partial=False), [customer(prepayment_fen=1_500)])
    assert isinstance(world.answer(world.payment(30_000, "R04")), Approved)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 0


@pytest.mark.parametrize("amount_fen", [5_000, 99_999, 100_001, 127_100, 130_000])
def test_any_other_amount_leaves_the_balance_alone(amount_fen: int) -> None:
    world = World.of(three_bills(), [customer(prepayment_fen=27_100)])
    assert isinstance(world.answer(world.payment(amount_fen)), Approved)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 27_100 + max(0, amount_fen - 127_100)


# --- refusals, in order of precedence


def _locked(names: Iterable[str]) -> list[Receivable]:
    return [
        bill("R03", 202403, 50_000, "2024-03-25", locked="R03" in names),
        bill("R04", 202404, 30_000, "2024-04-25", locked="R04" in names),
    ]


ROWS: list[tuple[str, World, Ask, Reason]] = [
    ("zero", World.of(three_bills()), lambda w: w.payment(0, "R04"), Reason.AMOUNT_INVALID),
    ("negative", World.of(three_bills()), lambda w: w.payment(-1, "R04"), Reason.AMOUNT_INVALID),
    ("zero, and no such customer", World.of(), lambda w: w.payment(0, owner="9"), Reason.AMOUNT_INVALID),
    ("no such customer", World.of(), lambda w: w.payment(1, owner="9"), Reason.CUSTOMER_NOT_FOUND),
    ("no such bill", World.of(three_bills()), lambda w: w.payment(1, "R99"), Reason.BILL_NOT_FOUND),
    ("one of two is no bill", World.of(three_bills()), lambda w: w.payment(1, "R04", "R99"), Reason.BILL_NOT_FOUND),
    (
        "another customer's bill",
        World.of([bill("X", 202404, 100, "2024-06-25", owner="2")], [customer(), customer("2")]),
        lambda w: w.payment(100, "X"),
        Reason.BILL_NOT_FOUND,
    ),
    ("no bill in the month", World.of(three_bills()), lambda w: w.payment(1, month=202401), Reason.BILL_NOT_FOUND),
    ("no bills at all", World.of(), lambda w: w.payment(100), Reason.NO_ARREARS),
    (
        "all settled",
        World.of([bill("R", 202404, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)])]),
        lambda w: w.payment(100),
        Reason.NO_ARREARS,
    ),
    (
        "named bill settled",
        World.of([bill("R", 202404, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)])]),
        lambda w: w.payment(100, "R"),
        Reason.ALREADY_PAID,
    ),
    (
        "one of two named bills settled",
        World.of([*three_bills(), bill("R", 202404, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)])]),
        lambda w: w.payment(31_500, "R04", "R"),
        Reason.ALREADY_PAID,
    ),
    (
        "month settled",
        World.of([bill("R", 202404, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)])]),
        lambda w: w.payment(100, month=202404),
        Reason.ALREADY_PAID,
    ),
    ("named bill locked", World.of(_locked({"R04"})), lambda w: w.payment(31_500, "R04"), Reason.LOCKED_IN_BATCH),
    ("locked, wrong amount", World.of(_locked({"R04"})), lambda w: w.payment(1, "R04"), Reason.LOCKED_IN_BATCH),
    ("any of all is locked", World.of(_locked({"R04"})), lambda w: w.payment(55_600), Reason.LOCKED_IN_BATCH),
    (
        "yesterday's amount",
        World.of(three_bills(partial=False)),
        lambda w: w.payment(31_440, "R04"),
        Reason.BILL_CHANGED,
    ),
    (
        "yesterday's amount less the balance",
        World.of(three_bills(partial=False), [customer(prepayment_fen=1_440)]),
        lambda w: w.payment(30_000, "R04"),
        Reason.BILL_CHANGED,
    ),
    (
        "the amount before a part payment, now too large",
        World.of([bill("R04", 202404, 30_000, "2024-04-25", settled=[("2024-05-20", 22_900, 1_500)])]),
        lambda w: w.payment(31_500, "R04"),
        Reason.BILL_CHANGED,
    ),
    (
        "the month's amount before one of its bills was paid",
        World.of([*three_bills(), bill("R04B", 202404, 1_000, "2024-06-25", settled=[("2024-05-20", 1_000, 0)])]),
        lambda w: w.payment(32_500, month=202404),
        Reason.BILL_CHANGED,
    ),
    ("above the named bill", World.of(three_bills()), lambda w: w.payment(31_501, "R04"), Reason.AMOUNT_TOO_LARGE),
    (
        "above all bills without prepayment",
        World.of(three_bills(), rules=Rules(prepayment_enabled=False)),
        lambda w: w.payment(127_101),
        Reason.AMOUNT_TOO_LARGE,
    ),
    (
        "below the named bill",
        World.of(three_bills(partial=False)),
        lambda w: w.payment(31_469, "R04"),
        Reason.PARTIAL_NOT_ALLOWED,
    ),
    (
        "one of two named bills whole, the other untouched",
        World.of(three_bills(partial=False)),
        lambda w: w.payment(55_600, "R03", "R04"),
        Reason.PARTIAL_NOT_ALLOWED,
    ),
    (
        "all bills, the second in part",
        World.of(three_bills(partial=False)),
        lambda w: w.payment(60_000),
        Reason.PARTIAL_NOT_ALLOWED,
    ),
    (
        "all bills know no stale amount",
        World.of(three_bills(partial=False)),
        lambda w: w.payment(127_100 - 160),
        Reason.PARTIAL_NOT_ALLOWED,
    ),
]


@pytest.mark.parametrize(("world", "ask", "reason"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_refusals_book_nothing_and_keep_their_record(world: World, ask: Ask, reason: Reason) -> None:
    payment = ask(world)
    before = dict(world.state.receivables)
    outcome, effects = world.do(payment)
    assert isinstance(outcome, Declined)
    assert (outcome.reason, outcome.clearing_date) == (reason, day("2024-05-20"))
    assert effects.posting is None
    assert [(one.key, one.outcome, one.digest, one.payment_id, one.fence) for one in effects.records] == [
        (payment.key, outcome, digest_of(payment), None, False)
    ]
    assert world.state.receivables == before


def test_another_currency_is_refused() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    outcome = world.answer(
        Payment(
            payment.key,
            CUSTOMER,
            ALL_BILLS,
            Money(100, "USD"),
            payment.paid_at,
            payment.channel,
            payment.settle_method,
        )
    )
    assert outcome == Declined(Reason.AMOUNT_INVALID, "the ledger is kept in CNY", day("2024-05-20"))


def test_part_payment_where_the_bill_allows_it() -> None:
    world = World.of(three_bills())
    assert isinstance(world.answer(world.payment(24_400, "R04")), Approved)
    assert world.bill("R04").outstanding_principal_fen == 7_100
    later = world.answer(world.enquiry("R04", asked="2024-05-30"))
    assert isinstance(later, Approved)
    assert isinstance(later.detail, BillsFound)
    assert (later.detail.bills[0].principal, later.detail.bills[0].penalty) == (Money(7_100), Money(142))


# --- enquiry


def test_an_enquiry_shows_open_bills_oldest_first_and_changes_nothing() -> None:
    rows = [
        bill("R05", 202405, 40_000, "2024-05-25", partial=False),
        bill("R04", 202404, 30_000, "2024-04-25", locked=True),
        bill("R01", 202401, 100, "2024-01-25", settled=[("2024-01-20", 100, 0)]),
    ]
    world = World.of(rows, [customer(prepayment_fen=80_000)])
    outcome, effects = world.do(world.enquiry())
    assert effects is NOTHING
    assert isinstance(outcome, Approved)
    found = outcome.detail
    assert isinstance(found, BillsFound)
    assert (found.customer_name, found.supply_address) == ("张三", "天河路1号")
    assert [
        (one.receivable_id, one.owed.minor, one.penalty.minor, one.partial_payment_allowed, one.locked)
        for one in found.bills
    ] == [("R04", 31_500, 1_500, True, True), ("R05", 40_000, 0, False, False)]
    assert (found.prepayment_balance, found.amount_to_pay) == (Money(80_000), Money(0))


@pytest.mark.parametrize(
    ("world", "named", "month", "owner", "reason"),
    [
        pytest.param(World.of(), (), None, "9", Reason.CUSTOMER_NOT_FOUND, id="no such customer"),
        pytest.param(World.of(three_bills()), ("R99",), None, CUSTOMER, Reason.BILL_NOT_FOUND, id="no such bill"),
        pytest.param(World.of(), (), None, CUSTOMER, Reason.NO_ARREARS, id="no bills"),
        pytest.param(World.of(three_bills()), (), 202401, CUSTOMER, Reason.NO_ARREARS, id="no bill in the month"),
        pytest.param(
            World.of([bill("R", 202404, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)])]),
            ("R",),
            None,
            CUSTOMER,
            Reason.NO_ARREARS,
            id="named bill settled",
        ),
    ],
)
def test_enquiries_refused(world: World, named: tuple[str, ...], month: int | None, owner: str, reason: Reason) -> None:
    outcome, effects = world.do(world.enquiry(*named, month=month, owner=owner))
    assert isinstance(outcome, Declined)
    assert outcome.reason is reason
    assert effects is NOTHING


# --- broken states are faults, not refusals


def test_without_a_reserved_number_nothing_is_booked() -> None:
    world = World.of(three_bills())
    world.state.free_payment_ids.clear()
    with pytest.raises(BrokenLedgerError, match="no payment id"):
        world.do(world.payment(31_500, "R04"))


def test_no_name_or_number_of_a_customer_reaches_an_error() -> None:
    world = World.of(three_bills())
    world.state.free_payment_ids.clear()
    with pytest.raises(BrokenLedgerError) as caught:
        world.do(world.payment(31_500, "R04"))
    assert CUSTOMER not in str(caught.value)


def test_a_naive_now_is_refused() -> None:
    from gateway.ledger.decide import decide

    world = World.of(three_bills())
    with pytest.raises(ValueError, match="time zone"):
        decide(world.state, world.payment(1), world.rules, NOW.replace(tzinfo=None))
