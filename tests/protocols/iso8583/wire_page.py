"""Makes the generated parts of docs/wire/iso8583-guangzhou.md: field tables, code tables, worked MAC, samples.

Strategy: the page has blocks between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; each is the text of a function
here, made from the tables and by the code that serve the wire itself. Requests come from the bank's builders and go
through the channel, replies are what the channel says to an outcome, all sealed with a published test key. A test
compares the page with the text, so that it can't go stale. To write it again, from the project's folder:

    .venv/bin/python tests/protocols/iso8583/wire_page.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.banks.profile import BankProfile, Iso8583Wire
from gateway.channels.guangzhou_codes import CODE_OF
from gateway.channels.iso8583_guangzhou import to_message, to_operation
from gateway.outcomes import (
    Approved,
    BillOwed,
    BillsFound,
    Declined,
    Outcome,
    Reason,
    Receipt,
    Undo,
    UndoResult,
    Unknown,
)
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode, encode
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU, OPTIONAL, REQUIRED
from protocols.iso8583.dialects.guangzhou_codes import CODES, DETAILS
from protocols.iso8583.dialects.guangzhou_layouts import FIELD_48, Collection
from protocols.iso8583.dialects.guangzhou_replies import refusal_for
from protocols.iso8583.framing import encode_frame
from protocols.iso8583.layout import Layout
from protocols.iso8583.prefixes import FIXED
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm, compute_mac, key_check_value

PAGE = Path(__file__).resolve().parents[3] / "docs" / "wire" / "iso8583-guangzhou.md"
KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
ZONE = ZoneInfo("Asia/Shanghai")
AT = datetime(2024, 4, 3, 9, 5, 1, tzinfo=ZONE)
RECEIVED = AT + timedelta(seconds=1)
CLEARING = date(2024, 4, 3)
PROFILE = BankProfile(
    code="GZB",
    name="银行甲",
    name_english="Bank A",
    wire=Iso8583Wire(protocol="iso8583-guangzhou", listen="127.0.0.1:0", institution="315810", mac_key="gzb-mac"),
)
COUNTER = bank.Sender("315810", channel="0", terminal_no="17", outlet="230", teller="6062")
MOBILE = replace(COUNTER, channel="6")
CUSTOMER = "012345678901"
ACCOUNT = "62220000000000018"
REFERENCE = "240403000077"


def seal(message: Message) -> bytes:
    return mac_field.seal(message, GUANGZHOU, MacAlgorithm.X9_19, KEY)


# --- tables


def field_table() -> str:
    rows = ["| Field | Name | On the wire |", "|---|---|---|"]
    for number, field in GUANGZHOU.fields.items():
        unit = "digits" if field.encoding.counts_digits else "bytes"
        if field.prefix is FIXED:
            size = f"{field.length} {unit}"
        else:
            size = f"{field.prefix.name} length counting {unit}, then {field.minimum} to {field.length} {unit}"
        rows.append(f"| {number} | {field.name} | {field.encoding.name}: {size} |")
    return "\n".join(rows)


def presence_table() -> str:
    types = list(REQUIRED)
    rows = [f"| Field | {' | '.join(types)} |", "|---|" + "---|" * len(types)]
    for number in GUANGZHOU.fields:
        marks = ["M" if number in REQUIRED[mti] else "o" if number in OPTIONAL[mti] else "" for mti in types]
        if any(marks):
            rows.append(f"| {number} | {' | '.join(marks)} |")
    return "\n".join(rows)


def layout_tables() -> str:
    return "\n\n".join(_layout_table(layout) for layout in FIELD_48)


def _layout_table(layout: Layout) -> str:
    rows = [f"Layout *{layout.name}*:", "", "| Part | Bytes | Written | Filled |", "|---|---|---|---|"]
    for part in layout.parts:
        filled = f"spaces, {part.padding.side}" if part.padding else "never: it fills its place"
        rows.append(f"| {part.name} | {part.width} | {part.encoding.name} | {filled} |")
    return "\n".join(rows)


_WHAT_TO_DO = {
    "success": "book it with our clearing date (field 15)",
    "final_refusal": "give the money back; the same message will be refused again",
    "retry_later": "send the same message again after a pause; nothing is booked",
    "unknown_outcome": "send the same message again, or reverse; neither book nor give back",
}


def code_table() -> str:
    rows = ["| Field 39 | Class | Meaning | 含义 |", "|---|---|---|---|"]
    rows += [f"| {code} | `{row.code_class}` | {row.english} | {row.chinese} |" for code, row in CODES.items()]
    rows += ["", "| Class | What the bank does |", "|---|---|"]
    rows += [f"| `{name}` | {action} |" for name, action in _WHAT_TO_DO.items()]
    return "\n".join(rows)


def detail_table() -> str:
    rows = ["| Field 60 | Meaning | 含义 |", "|---|---|---|"]
    rows += [f"| {code} | {row.english} | {row.chinese} |" for code, row in DETAILS.items()]
    return "\n".join(rows)


# --- the worked MAC


def worked_mac() -> str:
    sealed = seal(bank.echo(COUNTER, "240403000009", AT))
    covered = sealed[:-8]
    blocks = [covered[index : index + 8].ljust(8, b"\x00") for index in range(0, len(covered), 8)]
    full = compute_mac(MacAlgorithm.X9_19, KEY, covered)
    lines = [
        f"key                {KEY.hex().upper()} (check value {key_check_value(MacAlgorithm.X9_19, KEY)})",
        f"MTI                {covered[:2].hex().upper()}",
        f"bitmap             {covered[2:18].hex().upper()} (bit 128 is set)",
        f"fields 7 to 70     {covered[18:].hex().upper()}",
        f"covered, in blocks {' '.join(block.hex().upper() for block in blocks)}",
        f"X9.19, padding 1   {full.hex().upper()}",
        f'field 128          "{sealed[-8:].decode()}", sent as {sealed[-8:].hex().upper()}',
    ]
    others = [f"{algorithm:<13} {compute_mac(algorithm, KEY, covered)[:4].hex().upper()}" for algorithm in MacAlgorithm]
    return "\n".join(
        ["```", *lines, "```", "", "The same message and key under every algorithm:", "", "```", *others, "```"]
    )


# --- samples


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and what is answered; `note` says when this happens."""

    title: str
    note: str
    request: bytes
    reply: bytes


def _played(title: str, note: str, request: Message, outcome: Outcome) -> Sample:
    """A sample whose request the channel accepts and whose reply is the channel's."""
    sealed = seal(request)
    received = decode(sealed, GUANGZHOU)
    operation = to_operation(received, PROFILE, RECEIVED)
    if isinstance(operation, Declined):
        raise TypeError(f"{title}: {operation.note}")
    return Sample(title, note, sealed, seal(to_message(received, outcome, PROFILE, RECEIVED)))


def _refused(title: str, note: str, sealed: bytes) -> Sample:
    """A sample whose request the channel refuses by its content."""
    received = decode(sealed, GUANGZHOU)
    outcome = to_operation(received, PROFILE, RECEIVED)
    if not isinstance(outcome, Declined):
        raise TypeError(f"{title}: this is accepted")
    return Sample(title, note, sealed, seal(to_message(received, outcome, PROFILE, RECEIVED)))


def _forged(title: str, note: str) -> Sample:
    sealed = seal(_payment())[:-8] + b"11111111"
    reply = to_message(decode(sealed, GUANGZHOU), Unknown(Reason.SIGNATURE_INVALID), PROFILE, RECEIVED)
    return Sample(title, note, sealed, seal(reply))


def _unreadable(title: str, note: str) -> Sample:
    sealed = seal(_payment())
    data = sealed[:18] + b"\x0a" + sealed[19:]
    reply = refusal_for(data, CODE_OF[Reason.UNREADABLE])
    if reply is None:
        raise TypeError(f"{title}: nobody to answer")
    return Sample(title, note, data, seal(reply))


def _trace(number: int) -> bank.Trace:
    return bank.Trace(f"240403{number:06d}", AT, CLEARING)


def _payment() -> Message:
    return bank.payment(MOBILE, _trace(5), Collection(CUSTOMER, "20240399"), Money(10001), ACCOUNT)


def _found() -> BillsFound:
    bill = BillOwed(
        "R1", 202403, Money(10000), Money(1), date(2024, 3, 20), partial_payment_allowed=False, locked=False
    )
    return BillsFound("张三", "广州市天河区人民路1号", (bill,), Money(0), Money(10001))


def samples() -> Iterator[Sample]:
    done = Approved(CLEARING)
    paid = Approved(CLEARING, REFERENCE, Money(10001), Receipt((), Money(0)))
    undone = Approved(CLEARING, "240403000078", Money(10001), Undo(UndoResult.DONE_SAME_DAY, REFERENCE))
    nothing = Approved(CLEARING, None, None, Undo(UndoResult.NOTHING_TO_UNDO, None))
    enquiry = bank.enquiry(COUNTER, _trace(4), Collection(CUSTOMER, collect_kind=bank.NO_COLLECT_KIND))
    known = Collection(CUSTOMER, "20240399", original_reference=REFERENCE)
    cancel = bank.cancel(COUNTER, _trace(6), known, Money(10001), at=AT)
    reversal = bank.reversal(MOBILE, _trace(5), Collection(CUSTOMER, "20240399"), Money(10001), at=AT, account=ACCOUNT)
    yield _played("Sign-on (签到)", "Network code 001.", bank.sign_on(COUNTER, "240403000001", AT), done)
    yield _played("Sign-off (签退)", "Network code 002.", bank.sign_off(COUNTER, "240403000002", AT), done)
    yield _played("Line test (线路测试)", "Network code 301.", bank.echo(COUNTER, "240403000003", AT), done)
    yield _played(
        "Enquiry (查询欠费), all months",
        "Field 4 of the reply is what is to be paid.",
        enquiry,
        Approved(CLEARING, detail=_found()),
    )
    yield _played("Enquiry, nothing owed", "Code 09.", enquiry, Declined(Reason.NO_ARREARS, "", CLEARING))
    yield _played("Payment (缴费) of March 2024 from an account", "Field 37 is our reference.", _payment(), paid)
    yield _played(
        "Payment refused: the bill has changed",
        "Code U9: enquire again; give the money back or ask the payer for the new amount under a new trace.",
        _payment(),
        Declined(Reason.BILL_CHANGED, "", CLEARING),
    )
    yield _played(
        "Same-day cancel (当日抹账) by reference",
        "Processing code 200000, a trace of its own, the payment's field 37 inside field 48.",
        cancel,
        undone,
    )
    yield _played(
        "Same-day cancel refused: the clearing date has passed",
        "Code 80, detail 8082.",
        cancel,
        Declined(Reason.CANCEL_NOT_ALLOWED, "", CLEARING),
    )
    yield _played(
        "Reversal (冲正) after a lost reply",
        "Processing code 020000; fields 11 to 13 are the payment's own, the original reference is zeros.",
        reversal,
        undone,
    )
    yield _played(
        "Reversal that finds nothing",
        "Code 00, detail 8072: nothing was booked, and a payment that arrives later will be refused with U3.",
        reversal,
        nothing,
    )
    yield _refused(
        "A date that does not exist", "Code 07: field 13 is 0230.", seal(_payment().with_fields({13: "0230"}))
    )
    yield _forged("A wrong MAC", "Code 05, outcome unknown. The reply's own MAC is right.")
    yield _unreadable(
        "A message that can't be read", "Code 30, outcome unknown. Field 2's length is 0A; what was read is returned."
    )


def sample_text() -> str:
    return "\n\n".join(_sample_text(number, sample) for number, sample in enumerate(samples(), start=1))


def _sample_text(number: int, sample: Sample) -> str:
    return "\n".join(
        [
            f"### {number}. {sample.title}",
            "",
            sample.note,
            "",
            *_frame_text("Request", sample.request),
            "",
            *_frame_text("Reply", sample.reply),
        ]
    )


def _frame_text(name: str, data: bytes) -> list[str]:
    text = encode_frame(data).hex().upper()
    lines = [text[index : index + 96] for index in range(0, len(text), 96)]
    return [f"{name}, {len(data)} bytes after the length:", "", "```", *lines, "", *_field_lines(data), "```"]


def _field_lines(data: bytes) -> list[str]:
    try:
        message = decode(data, GUANGZHOU)
    except ValueError:
        return ["(can't be read)"]
    lines = [f"length {len(data):04d}, MTI {message.mti}, bitmap {data[2:18].hex().upper()}"]
    for number, text in message.fields.items():
        wire = encode(Message(message.mti, {number: text}), GUANGZHOU)[18:].hex().upper()
        shown = wire if len(wire) <= 40 else f"{wire[:18]}...{wire[-18:]}"
        lines.append(f'{number:>4}  {shown:<42}"{text}"')
    return lines


# --- the page

BLOCKS: dict[str, Callable[[], str]] = {
    "fields": field_table,
    "presence": presence_table,
    "field 48": layout_tables,
    "codes": code_table,
    "details": detail_table,
    "worked MAC": worked_mac,
    "samples": sample_text,
}


def render(page: str) -> str:
    """`page` with every block's text made anew; raises ValueError where a block is missing or there twice."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"the page needs exactly one block {name!r}")
        text = f"{begin}\n\n{make()}\n\n{end}"
        page = pattern.sub(lambda _match, text=text: text, page)
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
