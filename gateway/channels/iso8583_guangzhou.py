"""The Guangzhou ISO 8583 channel: messages to operations, outcomes to replies.

Strategy: two pure functions. `to_operation` reads a message whose MAC has been checked and gives the operation, or the
refusal that its content deserves (a value: the peer's mistakes never raise here). `to_message` gives the reply, without
MAC. Dispatch is a table: MTI and processing code, or MTI and network code.

Rules of the dialect that bind here:

- The trace date is field 13, the bank's clearing date, with the year nearest to our receipt. The payer's time is field
  12 on the calendar day nearest to our receipt, in the bank's time zone; field 13 has no part in it.
- Field 48's month is yyyymm and two digits that we ignore, or 99999999 (or 9) for all bills.
- A 0400 whose original reference is twelve zeros is about the payment with its own fields 11 and 13 (the reply, and
  with it the reference, was lost); otherwise the reference names the payment. The kind of operation is part of the key,
  so that the same trace under 0200 and 0400 is no duplicate.
- What we would not act on is refused: another currency, a fee, another bank's code, a debit (HZ), a PIN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from types import MappingProxyType

from gateway.banks.profile import BankProfile, Iso8583Wire
from gateway.channels.guangzhou_codes import CODE_OF, SUCCESS, UNDO_DETAIL_OF_RESULT, undo_refusal_codes
from gateway.operations import (
    ALL_BILLS,
    BillEnquiry,
    BillSelection,
    Channel,
    Echo,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    SignOff,
    SignOn,
)
from gateway.outcomes import Approved, BillsFound, Declined, Outcome, Reason, Undo
from protocols.errors import MoneyError, ProtocolError
from protocols.iso8583.codec import Message
from protocols.iso8583.dates import DateError, check_date_time, field_7, month_day, nearest_date, nearest_moment
from protocols.iso8583.dialects.guangzhou import MAC_FIELD, check_fields
from protocols.iso8583.dialects.guangzhou_layouts import (
    ALL_MONTHS,
    CASH_OR_ACCOUNT,
    CHEQUE_AS_PREPAYMENT,
    CHEQUE_RECEIVED,
    ENERGY_PRODUCT,
    NO_REFERENCE,
    Collection,
    EnquiryReply,
    read_acceptor,
    read_collection,
    read_terminal,
)
from protocols.iso8583.dialects.guangzhou_messages import (
    CANCEL_CODE,
    CURRENCY_CODE,
    ECHO,
    ENQUIRY_CODE,
    NO_FEE,
    PAYMENT_CLASS,
    PAYMENT_CODE,
    REVERSAL_CODE,
    SIGN_OFF,
    SIGN_ON,
)
from protocols.iso8583.dialects.guangzhou_replies import reply_to
from protocols.money import Money, parse_minor

# Field 13 has no year. Beyond about half a year the nearest one is another one, and an old message sent once more would
# come with a new trace date and so under a new key; reversals that waited through a long outage still get in.
TRACE_DATE_LIMIT_DAYS = 100
# The bank's channels by the first character of field 41.
CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        "0": Channel.BANK_COUNTER,
        "1": Channel.PHONE_BANK,
        "2": Channel.INTERNET_BANK,
        "3": Channel.ATM,
        "4": Channel.POS,
        "5": Channel.KIOSK,
        "6": Channel.MOBILE_BANK,
        "T": Channel.AGENT_OUTLET,
    }
)
# A cheque as prepayment is no payment of a bill but a deposit.
_CHEQUES = frozenset({CHEQUE_AS_PREPAYMENT, CHEQUE_RECEIVED})
_CARD_CHANNELS = frozenset({Channel.ATM, Channel.POS})
_ALL_MONTHS = frozenset({ALL_MONTHS, "9"})
_CUSTOMER_NO = re.compile(r"[0-9A-Za-z.-]{1,21}\Z")
_FIRST_YEAR, _LAST_YEAR = 1990, 2099


class _RefusedError(Exception):
    """Carries a refusal out of the reading; caught once, in `to_operation`."""

    def __init__(self, reason: Reason, note: str) -> None:
        self.declined = Declined(reason, note)
        super().__init__(note)


def mac_is_required(message: Message, profile: BankProfile) -> bool:
    """Whether `message` must carry a MAC: always, except enquiries where the profile says so. One that it carries is
    checked all the same."""
    return message.mti != "0100" or _wire(profile).mac_on_enquiry


def to_operation(message: Message, profile: BankProfile, received_at: datetime) -> Operation | Declined:
    """The operation that `message` asks for, or why it is refused (FORMAT_ERROR, BAD_OPERATION, DATE_INVALID,
    AMOUNT_INVALID, BILL_NOT_FOUND for a month that is none). `received_at` is aware. Check the MAC before."""
    try:
        read = _reader(message)
        check_fields(message)
        _check_parties(message, _wire(profile))
        return read(message, profile, received_at)
    except _RefusedError as refused:
        return refused.declined
    except DateError as error:
        return Declined(Reason.DATE_INVALID, str(error))
    except MoneyError as error:
        return Declined(Reason.AMOUNT_INVALID, str(error))
    except ProtocolError as error:
        return Declined(Reason.FORMAT_ERROR, str(error))


def _wire(profile: BankProfile) -> Iso8583Wire:
    if not isinstance(profile.wire, Iso8583Wire):
        raise TypeError(f"bank {profile.code} is not on this wire")
    return profile.wire


def _check_parties(message: Message, wire: Iso8583Wire) -> None:
    """Fields with one right value for this bank; those that `message` does not have are not its own."""
    expected = {
        28: (NO_FEE, Reason.AMOUNT_INVALID, "no fee is agreed: twelve zeros are expected"),
        32: (wire.institution, Reason.BAD_OPERATION, "not the institution of this line"),
        33: (wire.institution, Reason.BAD_OPERATION, "not the institution of this line"),
        49: (CURRENCY_CODE, Reason.AMOUNT_INVALID, f"currency {CURRENCY_CODE} is expected"),
        100: (wire.utility_institution, Reason.BAD_OPERATION, "not our institution"),
        104: (PAYMENT_CLASS, Reason.BAD_OPERATION, f"transaction class {PAYMENT_CLASS} is expected"),
    }
    for number, (right, reason, note) in expected.items():
        if message.get(number) not in (None, right):
            raise _RefusedError(reason, f"field {number}: {note}")


def _key(message: Message, profile: BankProfile, kind: OperationKind, date_field: int, near: date) -> OperationKey:
    trace_date = nearest_date(message.require(date_field)[:4], near, f"field {date_field}")
    if abs((trace_date - near).days) > TRACE_DATE_LIMIT_DAYS:
        raise DateError(f"field {date_field}", f"more than {TRACE_DATE_LIMIT_DAYS} days from today")
    return OperationKey(profile.code, kind, trace_date, message.require(11))


def _check_dates(message: Message, near: date) -> None:
    """Dates that are sent along and bind nobody must exist all the same."""
    if (text := message.get(7)) is not None:
        check_date_time(text, near, "field 7")
    if (text := message.get(15)) is not None:
        nearest_date(text, near, "field 15")


def _network(make: Callable[[OperationKey], Operation], kind: OperationKind) -> _Reader:
    def read(message: Message, profile: BankProfile, received_at: datetime) -> Operation:
        near = received_at.astimezone(profile.zone).date()
        _check_dates(message, near)
        return make(_key(message, profile, kind, 7, near))

    return read


def _collection(
    message: Message, profile: BankProfile, kind: OperationKind, received_at: datetime
) -> tuple[OperationKey, Collection]:
    """What enquiry, payment, cancel and reversal share."""
    near = received_at.astimezone(profile.zone).date()
    _check_dates(message, near)
    collection = read_collection(message.require(48))
    if not _CUSTOMER_NO.match(collection.customer_no):
        raise ProtocolError("field 48 customer_no", "1 to 21 letters, digits, points or hyphens are expected")
    if collection.product != ENERGY_PRODUCT:
        raise _RefusedError(Reason.BAD_OPERATION, f"field 48 product: {ENERGY_PRODUCT} is expected")
    return _key(message, profile, kind, 13, near), collection


def _payer_time(message: Message, profile: BankProfile, received_at: datetime) -> datetime:
    moment = nearest_moment(message.require(12), received_at, profile.zone, "field 12")
    if abs(moment - received_at) > timedelta(hours=profile.paid_at_tolerance_hours):
        raise DateError("field 12", f"more than {profile.paid_at_tolerance_hours} hours from our receipt")
    return moment


def _selection(month: str) -> BillSelection:
    if month in _ALL_MONTHS:
        return ALL_BILLS
    if len(month) == 8 and _FIRST_YEAR <= int(month[:4]) <= _LAST_YEAR and 1 <= int(month[4:6]) <= 12:
        return BillSelection(billing_month=int(month[:6]))
    raise _RefusedError(Reason.BILL_NOT_FOUND, "field 48 month: yyyymm and two digits, or 99999999, are expected")


def _amount(message: Message) -> Money:
    amount = parse_minor(message.require(4), "field 4")
    if not amount.minor:
        raise MoneyError("field 4", "the amount is zero")
    return amount


def _enquiry(message: Message, profile: BankProfile, received_at: datetime) -> Operation:
    key, collection = _collection(message, profile, OperationKind.BILL_ENQUIRY, received_at)
    asked_at = _payer_time(message, profile, received_at)
    return BillEnquiry(key, collection.customer_no, _selection(collection.month), asked_at)


def _payment(message: Message, profile: BankProfile, received_at: datetime) -> Operation:
    key, collection = _collection(message, profile, OperationKind.PAYMENT, received_at)
    if collection.original_reference != NO_REFERENCE:
        raise ProtocolError("field 48 original_reference", "twelve zeros are expected in a payment")
    channel = _channel(message)
    acceptor = read_acceptor(message.require(42))
    if collection.collect_kind == CHEQUE_AS_PREPAYMENT:
        make: Callable[..., Operation] = PrepaymentDeposit
        _check_month_of_deposit(collection.month)
    else:
        make = partial(Payment, selection=_selection(collection.month))
    return make(
        key=key,
        customer_no=collection.customer_no,
        amount=_amount(message),
        paid_at=_payer_time(message, profile, received_at),
        channel=channel,
        settle_method=_settle_method(message, collection, channel),
        outlet=acceptor.outlet,
        operator=acceptor.teller,
    )


def _check_month_of_deposit(month: str) -> None:
    """A deposit is for no month; one that names a month may be meant for that month's bill."""
    if month not in _ALL_MONTHS:
        raise _RefusedError(Reason.BILL_NOT_FOUND, "field 48 month: 99999999 is expected with collect kind 11")


def _channel(message: Message) -> Channel:
    channel = CHANNELS.get(read_terminal(message.require(41)).channel)
    if channel is None:
        raise ProtocolError("field 41 channel", f"one of {' '.join(CHANNELS)} is expected")
    return channel


def _settle_method(message: Message, collection: Collection, channel: Channel) -> SettleMethod:
    """Cheque by collect kind 11 or 12; with 10 the account of field 2 tells cash from card (ATM, POS) and transfer."""
    if collection.collect_kind in _CHEQUES:
        return SettleMethod.CHEQUE
    if collection.collect_kind != CASH_OR_ACCOUNT:
        raise _RefusedError(Reason.BAD_OPERATION, "field 48 collect_kind: 10, 11 or 12 is expected")
    if message.get(2) is None:
        return SettleMethod.CASH
    return SettleMethod.CARD if channel in _CARD_CHANNELS else SettleMethod.TRANSFER


def _undo(make: Callable[..., Operation], kind: OperationKind) -> _Reader:
    def read(message: Message, profile: BankProfile, received_at: datetime) -> Operation:
        key, collection = _collection(message, profile, kind, received_at)
        nearest_moment(message.require(12), received_at, profile.zone, "field 12")
        if collection.original_reference == NO_REFERENCE:
            original = OriginalReference(trace_date=key.trace_date, trace_no=key.trace_no)
        else:
            original = OriginalReference(reference_no=collection.original_reference)
        return make(key, collection.customer_no, original, _amount(message))

    return read


_Reader = Callable[[Message, BankProfile, datetime], Operation]
# MTI, and field 70 of network messages or field 3 of the others.
_READERS: Mapping[tuple[str, str], _Reader] = MappingProxyType(
    {
        ("0820", SIGN_ON): _network(SignOn, OperationKind.SIGN_ON),
        ("0820", SIGN_OFF): _network(SignOff, OperationKind.SIGN_OFF),
        ("0820", ECHO): _network(Echo, OperationKind.ECHO),
        ("0100", ENQUIRY_CODE): _enquiry,
        ("0200", PAYMENT_CODE): _payment,
        ("0400", CANCEL_CODE): _undo(SameDayCancel, OperationKind.SAME_DAY_CANCEL),
        ("0400", REVERSAL_CODE): _undo(Reversal, OperationKind.REVERSAL),
    }
)
_CODE_FIELD = MappingProxyType({"0820": 70, "0100": 3, "0200": 3, "0400": 3})


def _reader(message: Message) -> _Reader:
    number = _CODE_FIELD.get(message.mti)
    if number is None:
        raise _RefusedError(Reason.BAD_OPERATION, f"MTI: one of {', '.join(_CODE_FIELD)} is expected")
    reader = _READERS.get((message.mti, message.require(number)))
    if reader is None:
        known = ", ".join(code for mti, code in _READERS if mti == message.mti)
        raise _RefusedError(Reason.BAD_OPERATION, f"field {number}: one of {known} is expected in a {message.mti}")
    return reader


def to_message(request: Message, outcome: Outcome, profile: BankProfile, sent_at: datetime) -> Message:
    """The reply to `request` (whatever its state: also where `to_operation` refused it), without MAC.

    `sent_at` is aware and becomes field 7 in the bank's time zone. Raises ProtocolError where `request` is of a type
    that is not answered.
    """
    answer = {7: field_7(sent_at, profile.zone)}
    if request.mti == "0820":
        answer[33] = _wire(profile).utility_institution
    elif outcome_date := _clearing_date(outcome):
        answer[15] = month_day(outcome_date)
    answer |= _undo_codes(outcome) if request.mti == "0400" else _codes(outcome)
    if isinstance(outcome, Approved):
        answer |= _approved_fields(request, outcome)
    return reply_to(request.without_fields(MAC_FIELD), answer)


def _clearing_date(outcome: Outcome) -> date | None:
    return outcome.clearing_date if isinstance(outcome, Approved | Declined) else None


def _codes(outcome: Outcome) -> dict[int, str]:
    return {39: SUCCESS if isinstance(outcome, Approved) else CODE_OF[outcome.reason]}


def _undo_codes(outcome: Outcome) -> dict[int, str]:
    if isinstance(outcome, Approved):
        detail = outcome.detail
        if not isinstance(detail, Undo):
            raise TypeError("an approved cancel or reversal says what it undid")
        return {39: SUCCESS, 60: UNDO_DETAIL_OF_RESULT[detail.result]}
    code, detail_code = undo_refusal_codes(outcome.reason)
    return {39: code, 60: detail_code}


def _approved_fields(request: Message, outcome: Approved) -> dict[int, str]:
    if request.mti == "0100":
        return _bills_fields(request, outcome)
    if request.mti in ("0200", "0400") and outcome.reference_no is not None:
        return {37: outcome.reference_no}
    return {}


def _bills_fields(request: Message, outcome: Approved) -> dict[int, str]:
    """What is to be paid, and for whom: name and address as one text, cut to its 56 bytes."""
    found = outcome.detail
    if not isinstance(found, BillsFound):
        raise TypeError("an approved enquiry says what was found")
    asked = read_collection(request.require(48))
    name_address = f"{found.customer_name} {found.supply_address}".strip()
    reply = EnquiryReply(asked.customer_no, asked.month, asked.product, asked.original_reference, name_address)
    return {4: f"{found.amount_to_pay.minor:012d}", 48: reply.text()}
