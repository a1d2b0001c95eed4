"""Guangzhou dialect: what stands inside fields 41, 42 and 48, and what they say together.

Strategy: the layouts are tables of places in bytes; small frozen values give them names. Field 48 has three layouts of
different width, told apart by it: 70 bytes (enquiry, payment, cancel, reversal; replies return it), 63 bytes (a debit
that the utility asks of the bank) and 99 bytes (the reply to an enquiry, with name and address). Numbers are
left-padded with spaces as the customer number is; the text of a name is right-padded and may be cut.

Where the sources of the dialect are silent we decide: field 41 begins with the channel's digit; field 42 is nine
characters of outlet and six of teller, each left-padded with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from protocols.iso8583.encodings import ASCII, DIGITS, GBK
from protocols.iso8583.layout import Layout, Part
from protocols.iso8583.masking import Mask
from protocols.iso8583.padding import SPACES_LEFT, SPACES_RIGHT, ZEROS_LEFT

NO_REFERENCE = "0" * 12
ALL_MONTHS = "99999999"
ENERGY_PRODUCT = "01"
# Collect kinds: what the money is, and what for.
CASH_OR_ACCOUNT, CHEQUE_AS_PREPAYMENT, CHEQUE_RECEIVED = "10", "11", "12"

_COMMON_PARTS = (
    Part("customer_no", 21, ASCII, SPACES_LEFT, mask=Mask.HIDDEN),
    Part("month", 8, DIGITS, SPACES_LEFT),
    Part("product", 2, DIGITS),
    Part("original_reference", 12, DIGITS),
)
COLLECTION = Layout(
    "collection (70 bytes)",
    GBK,
    (*_COMMON_PARTS, Part("collect_kind", 2, DIGITS), Part("cheque_no", 25, ASCII, SPACES_LEFT, mask=Mask.HIDDEN)),
)
DEBIT = Layout("debit (63 bytes)", GBK, (*_COMMON_PARTS, Part("account_bank", 20, DIGITS, SPACES_LEFT)))
ENQUIRY_REPLY = Layout(
    "enquiry reply (99 bytes)",
    GBK,
    (*_COMMON_PARTS, Part("name_address", 56, GBK, SPACES_RIGHT, mask=Mask.HIDDEN, display=True)),
)
FIELD_48 = (COLLECTION, DEBIT, ENQUIRY_REPLY)
TERMINAL = Layout("terminal", ASCII, (Part("channel", 1, ASCII), Part("terminal_no", 7, ASCII, ZEROS_LEFT)))
ACCEPTOR = Layout("acceptor", ASCII, (Part("outlet", 9, ASCII, ZEROS_LEFT), Part("teller", 6, ASCII, ZEROS_LEFT)))


@dataclass(frozen=True, slots=True)
class Collection:
    """Field 48 of enquiry, payment, cancel and reversal.

    `month` is "yyyymm" and two digits that we ignore, or `ALL_MONTHS` (or "9") for all; `original_reference` is field
    37 of the payment's reply, or twelve zeros; `collect_kind` 10 cash or account, 11 cheque as prepayment, 12 cheque.
    """

    customer_no: str = field(repr=False)
    month: str = ALL_MONTHS
    product: str = ENERGY_PRODUCT
    original_reference: str = NO_REFERENCE
    collect_kind: str = CASH_OR_ACCOUNT
    cheque_no: str = field(default="", repr=False)

    def text(self) -> str:
        return COLLECTION.join(_parts(self), "field 48")


@dataclass(frozen=True, slots=True)
class EnquiryReply:
    """Field 48 of the reply to an enquiry; `name_address` is cut to 56 bytes of GBK at a whole character."""

    customer_no: str = field(repr=False)
    month: str
    product: str
    original_reference: str
    name_address: str = field(repr=False)

    def text(self) -> str:
        return ENQUIRY_REPLY.join(_parts(self), "field 48")


@dataclass(frozen=True, slots=True)
class Terminal:
    """Field 41: the digit of the bank's channel (0 counter … 6 mobile bank, T agent) and the terminal's number."""

    channel: str
    terminal_no: str

    def text(self) -> str:
        return TERMINAL.join(_parts(self), "field 41")


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Field 42: outlet (网点) and teller (柜员), without their leading zeros."""

    outlet: str
    teller: str

    def text(self) -> str:
        return ACCEPTOR.join(_parts(self), "field 42")


def _parts(value: Collection | EnquiryReply | Terminal | Acceptor) -> dict[str, str]:
    return {part.name: getattr(value, part.name) for part in fields(value)}


def read_collection(text: str) -> Collection:
    """Field 48 of 70 bytes; raises ProtocolError naming the part."""
    return Collection(**COLLECTION.split(text, "field 48"))


def read_enquiry_reply(text: str) -> EnquiryReply:
    """Field 48 of 99 bytes; raises ProtocolError naming the part."""
    return EnquiryReply(**ENQUIRY_REPLY.split(text, "field 48"))


def read_terminal(text: str) -> Terminal:
    """Field 41; raises ProtocolError."""
    return Terminal(**TERMINAL.split(text, "field 41"))


def read_acceptor(text: str) -> Acceptor:
    """Field 42; raises ProtocolError."""
    return Acceptor(**ACCEPTOR.split(text, "field 42"))
