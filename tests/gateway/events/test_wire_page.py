"""The page for receivers can't go stale: its tables and its signed sample are made here and compared.

After a wanted change, write the parts anew:

    BUSBAR_WRITE_WIRE_PAGE=1 .venv/bin/pytest tests/gateway/events/test_wire_page.py

The sample is signed with a computed key (see the wire page of bankxml), so that writing it anew changes nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.events.answers import Verdict, answer_of_status
from gateway.events.event import SettledBill, body_of
from gateway.events.signature import HEADER, header_value, statement
from gateway.ledger.model import PostingKind
from protocols.money import Money
from protocols.signing.keys import SigningKey
from tests.protocols.bankxml.conftest import derived_key

from .receiver import verifies
from .test_event import EVENT

PAGE = Path(__file__).parents[3] / "docs" / "wire" / "payment-events.md"
WRITE = os.environ.get("BUSBAR_WRITE_WIRE_PAGE") == "1"
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOW = datetime(2026, 3, 3, 1, 30, 2, tzinfo=UTC)
SUBSCRIBER, KEY_ID = "call-centre", "utility-sample"
PAID = replace(EVENT, prepayment_movement=Money(0))
REVERSED = replace(
    PAID,
    event_id="260000000013",
    sequence=42,
    kind="REVERSAL",
    recorded_at=datetime(2026, 3, 3, 1, 30, 1, 600_000, tzinfo=UTC),
    original_event_id=EVENT.event_id,
    settled=(SettledBill("R04", 202602, "010", Money(-30_000), Money(-1_500)),),
)
# What each kind of posting tells a receiver.
KINDS = {
    "PAYMENT": "a customer has paid 缴费",
    "PREPAYMENT_DEPOSIT": "a customer has put money aside 预存: `prepayment_movement` says how much of it was kept",
    "SAME_DAY_CANCEL": "a teller has cancelled a payment on its day 当日抹账: the bills are owed again",
    "REVERSAL": "a bank has reversed a payment on its day 冲正: the bills are owed again",
    "NEXT_DAY_REVERSAL": "a bank has reversed a payment of an earlier day 隔日冲正: the bills are owed again",
    "PREPAYMENT_APPLIED": "a prepayment balance has settled bills 预存冲抵; no bank has a part in it",
    "PREPAYMENT_WITHDRAWN": "what `original_event_id` settled from prepayment is owed again: that money was reversed",
}
MEANINGS = {
    Verdict.ACCEPTED: "taken; not told again",
    Verdict.REFUSED: "never to be taken: the event waits for a person (a dead letter)",
    Verdict.FAILED: "you failed at it; no answer in time counts as this: tried again",
    Verdict.UNAVAILABLE: "says nothing about the events: all wait and are offered again. So does no connection",
}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return derived_key(KEY_ID)


def body() -> bytes:
    return body_of(SUBSCRIBER, 1, [PAID, REVERSED])


def kinds_part() -> str:
    rows = [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    return "\n".join(["| `kind` | Meaning |", "|---|---|", *rows])


def answers_part() -> str:
    rows = []
    for verdict, meaning in MEANINGS.items():
        statuses = [status for status in range(200, 600) if answer_of_status(status).verdict is verdict]
        rows.append(f"| {ranges(statuses)} | {meaning} |")
    return "\n".join(["| Status | Meaning |", "|---|---|", *rows])


def ranges(numbers: list[int]) -> str:
    """`400, 402, 405 to 499`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in runs)


def sample_part(key: SigningKey) -> str:
    value = header_value(key, SUBSCRIBER, body(), NOW)
    timestamp = value.split("; ")[2].removeprefix("timestamp=")
    pretty = json.dumps(json.loads(body()), ensure_ascii=False, indent=1)
    return (
        f"Its body is one line of {len(body())} bytes, without a line feed at the end:\n\n"
        f"```json\n{body().decode()}\n```\n\n"
        f"Laid out for reading:\n\n```json\n{pretty}\n```\n\n"
        f"What is signed:\n\n```\n{statement(SUBSCRIBER, timestamp, body()).decode().rstrip()}\n```\n\n"
        f"The header:\n\n```\n{HEADER}: {value}\n```\n\n"
        f"The public key `{KEY_ID}`, made for this page; SHA-256 of its DER form "
        f"`{key.verifying().fingerprint()}`:\n\n```\n{key.verifying().pem().decode().rstrip()}\n```\n\n"
        "With the four lines in `statement` and the decoded signature in `signature`:\n\n"
        "```\nopenssl dgst -sha256 -verify utility-sample.pem -signature signature statement\n```"
    )


def test_the_page_is_what_the_code_says(key: SigningKey) -> None:
    parts = {"kinds": kinds_part(), "answers": answers_part(), "sample": sample_part(key)}
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(found[1] for found in _PART.findall(text)) == sorted(parts)
    expected = _PART.sub(lambda match: f"{match[1]}{parts[match[2]]}\n{match[3]}", text)
    if WRITE:
        PAGE.write_text(expected, encoding="utf-8")
        text = expected
    assert text == expected, "the page is stale: see the docstring of this test for how to write it anew"


def test_every_kind_of_the_ledger_is_explained() -> None:
    assert {kind.value for kind in PostingKind} <= set(KINDS)


def test_every_field_of_the_sample_is_explained() -> None:
    content = json.loads(body())
    names = {*content, *content["events"][0], *content["events"][0]["settled"][0]}
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## 3.") : text.index("<!-- generated: kinds")]
    assert [name for name in sorted(names) if f"`{name}`" not in table] == []


def blocks() -> list[str]:
    """The page's code blocks from the sample on: body, layout, statement, header, public key."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"```(?:json)?\n(.*?)\n```", text[text.index("<!-- generated: sample") :], re.DOTALL)


def test_the_page_alone_verifies(tmp_path: Path) -> None:
    """From the page's text, with the receiver's own recipe; and by openssl, where it is installed."""
    sent, _laid_out, signed, header, pem = blocks()[:5]
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, RSAPublicKey)
    name, _, value = header.partition(": ")
    assert verifies(public, SUBSCRIBER, {name: value}, sent.encode())
    assert not verifies(public, SUBSCRIBER, {name: value}, sent.encode() + b" ")
    openssl = shutil.which("openssl")
    if openssl is None:
        return
    (tmp_path / "utility-sample.pem").write_text(pem + "\n")
    (tmp_path / "statement").write_text(signed + "\n")
    (tmp_path / "signature").write_bytes(b64decode(value.partition("signature=")[2]))
    command = next(block for block in blocks() if block.startswith("openssl")).split()
    done = subprocess.run([openssl, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
