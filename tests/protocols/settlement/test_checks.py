"""The file checks: one row per refusal, in their order, through the whole of `check_file`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.money import Money
from protocols.settlement.advice import ADVICE, Check, FailureCode
from protocols.settlement.checks import (
    ContentCheck,
    Expected,
    Failure,
    FileVerdict,
    check_content,
    check_file,
    check_identity,
)
from protocols.settlement.layout import Layout
from protocols.settlement.layouts import BIL, PIPE
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader
from protocols.settlement.names import FileKind
from protocols.settlement.reader import read_settlement
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import DigestAlgorithm, FileStatement, TrustedKey, digest_of, make_sig

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2024, 4, 3)
NAME = "RECON_301581000230_20240403_001.txt"
SAMPLE = (Path(__file__).parents[3] / "fixtures" / "settlement" / NAME).read_bytes()
PRIVATE = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
KEY = TrustedKey("settlement-2024", PRIVATE.public_key())
EXPECTED = Expected(bank="301581000230", clearing_date=DAY, utility="GDELEC")
HEADER = SettlementHeader(clearing_date=DAY, bank="301581000230", utility="GDELEC")
PAY = SettlementEntry(
    line_no=0,
    kind=EntryKind.PAY,
    trace_date=DAY,
    trace_no="1",
    customer_no="0600012345",
    amount=Money(1000),
    clearing_date=DAY,
    paid_at=datetime(2024, 4, 3, 9, 5, 1, tzinfo=ZONE),
    receivable_id="R1",
    channel="ATM",
    settle_method="CARD",
)


def signed(content: bytes, name: str = NAME, private: rsa.RSAPrivateKey = PRIVATE, bank: str = "301581000230") -> bytes:
    return make_sig(FileStatement(bank, DAY, 1, name, digest_of([content])), KEY.key_id, private)


def checked(
    content: bytes,
    *,
    name: str = NAME,
    layout: Layout = PIPE,
    expected: Expected = EXPECTED,
    sig: Callable[[bytes], bytes | None] = signed,
    key: TrustedKey | None = KEY,
) -> FileVerdict:
    return check_file(name, layout, ZONE, expected, sig=sig(content), key=key, open_chunks=lambda: [content])


def codes(verdict: FileVerdict) -> list[str]:
    return [failure.code.value for failure in verdict.failures]


def test_a_good_file() -> None:
    verdict = checked(SAMPLE)
    assert (verdict.ok, verdict.first_failed, verdict.failures, verdict.line_errors) == (True, None, (), ())
    assert verdict.totals is not None
    assert verdict.totals.net == Money(3406)
    assert verdict.header is not None
    assert verdict.file_name is not None
    assert verdict.digest == "d7e7b3a253371aee92f9d82e96d33c2433f63264da73d55d52508d090f7869ee"


# Stage one: (changes of the call, the codes in their order).
IDENTITY: list[tuple[dict[str, object], list[str]]] = [
    ({"name": "today.txt"}, ["NAME_PATTERN"]),
    ({"name": "RECON_301581000230_20240230_001.txt"}, ["NAME_PATTERN"]),
    ({"expected": replace(EXPECTED, bank="301581000231")}, ["NAME_BANK"]),
    ({"expected": replace(EXPECTED, clearing_date=date(2024, 4, 4))}, ["NAME_DATE"]),
    ({"expected": replace(EXPECTED, kind=FileKind.DEBITS)}, ["NAME_KIND"]),
    ({"expected": replace(EXPECTED, seen_sequences={1})}, ["SEQUENCE_REPEATED"]),
    ({"expected": replace(EXPECTED, seen_sequences=[1, 2])}, ["SEQUENCE_REPEATED"]),
    (
        {
            "name": "RECON_301581000230_20240403_003.txt",
            "sig": lambda content: signed(content).replace(b"_001.txt", b"_003.txt"),
        },
        ["SEQUENCE_GAP", "SIGNATURE_WRONG"],
    ),
    ({"sig": lambda _: None}, ["SIG_MISSING"]),
    ({"sig": lambda _: b"d7e7b3a2\n"}, ["SIG_FORM"]),
    ({"expected": replace(EXPECTED, digest=DigestAlgorithm.SM3)}, ["DIGEST_ALGORITHM"]),
    ({"sig": lambda content: signed(content + b"x")}, ["DIGEST_WRONG"]),
    ({"sig": lambda content: b"\n".join(signed(content).split(b"\n")[:7]) + b"\n"}, ["SIGNATURE_MISSING"]),
    ({"sig": lambda content: signed(content).replace(b"settlement-2024", b"settlement-2023")}, ["SIGNATURE_KEY"]),
    ({"sig": lambda content: signed(content, private=OTHER)}, ["SIGNATURE_WRONG"]),
    ({"sig": lambda content: signed(content, name="RECON_301581000230_20240403_002.txt")}, ["SIG_OTHER_FILE"]),
    ({"sig": lambda content: signed(content, bank="301581000231")}, ["SIG_OTHER_FILE"]),
    ({"expected": replace(EXPECTED, bank="1"), "sig": lambda _: None}, ["NAME_BANK", "SIG_MISSING"]),
]


@pytest.mark.parametrize(("changes", "expected"), IDENTITY)
def test_a_file_is_refused_before_it_is_parsed(changes: dict[str, object], expected: list[str]) -> None:
    opened = []
    arguments = {"name": NAME, "layout": PIPE, "zone": ZONE, "expected": EXPECTED, "sig": signed, "key": KEY, **changes}
    sig = arguments.pop("sig")
    assert callable(sig)
    verdict = check_file(
        **arguments,  # type: ignore[arg-type]  # a table of keyword arguments
        sig=sig(SAMPLE),
        open_chunks=lambda: opened.append(1) or [SAMPLE],
    )
    assert codes(verdict) == expected
    assert len(opened) == 1, "the second pass is for files whose name, digest and signature are right"
    assert verdict.header is None


def changed(old: bytes, new: bytes) -> bytes:
    assert SAMPLE.count(old) == 1
    return SAMPLE.replace(old, new)


# Stage two: (content, rightly signed, and the codes in their order).
CONTENT: list[tuple[bytes, list[str]]] = [
    (b"", ["LINES_UNREADABLE"]),
    (SAMPLE.split(b"\r\n", 1)[1], ["LINES_UNREADABLE"]),
    (SAMPLE.replace(b"T|3|34.06|\r\n", b""), ["LINES_UNREADABLE"]),
    (SAMPLE + b"T|3|34.06|\r\n", ["LINES_UNREADABLE"]),
    (SAMPLE[:-2], ["LINES_UNREADABLE"]),
    (changed(b"TRANSFER|OK||||", b"TRANSFER|OK|||\xff|"), ["LINES_UNREADABLE"]),
    (changed(b"|20.06|20.06|", b"|20.06|"), ["LINES_UNREADABLE"]),
    (changed(b"|20.06|20.06|", b"|20.06|20.06||"), ["LINES_UNREADABLE"]),
    (changed(b"|20.06|20.06|", b"|20.061|20.06|"), ["LINES_UNREADABLE"]),
    (changed(b"|20240403101502|", b"|20240431101502|"), ["LINES_UNREADABLE"]),
    (changed(b"|301581000230|", b"|301581000231|"), ["HEADER_BANK"]),
    (changed(b"|GDELEC|", b"|GXELEC|"), ["HEADER_UTILITY"]),
    (changed(b"|CNY|", b"|HKD|"), ["HEADER_CURRENCY"]),
    (changed(b"CNY|3|34.06|3|", b"CNY|4|34.06|3|"), ["HEADER_COUNT"]),
    (changed(b"CNY|3|34.06|3|", b"CNY|3|34.06|2|"), ["HEADER_GROSS_COUNT"]),
    (changed(b"|0|0.00|\r\nD|1", b"|1|0.00|\r\nD|1"), ["HEADER_GROSS_COUNT"]),
    (changed(b"T|3|", b"T|2|"), ["TRAILER_COUNT"]),
    (changed(b"CNY|3|34.06|3|", b"CNY|3|34.07|3|"), ["HEADER_AMOUNT"]),
    (changed(b"34.06|3|34.06|0|", b"34.06|3|34.07|0|"), ["HEADER_GROSS_AMOUNT"]),
    (changed(b"|0|0.00|\r\nD|1", b"|0|0.01|\r\nD|1"), ["HEADER_GROSS_AMOUNT"]),
    (changed(b"T|3|34.06|", b"T|3|34.07|"), ["TRAILER_AMOUNT"]),
    (changed(b"|GDELEC|20240403|", b"|GDELEC|20240404|"), ["HEADER_DATE"]),
    (
        changed(b"|GDELEC|20240403|CNY|3|34.06|3|", b"|GXELEC|20240404|CNY|4|34.07|3|"),
        ["HEADER_UTILITY", "HEADER_COUNT", "HEADER_AMOUNT", "HEADER_DATE"],
    ),
    # One entry left out: what the bank sees are the sums.
    (
        SAMPLE.replace(b"D|3|PAY", b"\x00").split(b"\x00")[0] + b"T|3|34.06|\r\n",
        [
            *("HEADER_COUNT", "HEADER_GROSS_COUNT", "TRAILER_COUNT"),
            *("HEADER_AMOUNT", "HEADER_GROSS_AMOUNT", "TRAILER_AMOUNT"),
        ],
    ),
]


@pytest.mark.parametrize(("content", "expected"), CONTENT)
def test_a_file_is_refused_for_its_content(content: bytes, expected: list[str]) -> None:
    verdict = checked(content)
    assert codes(verdict) == expected
    assert verdict.first_failed is ADVICE[FailureCode(expected[0])].check
    assert bool(verdict.line_errors) is (expected == ["LINES_UNREADABLE"])
    for text in map(str, verdict.failures):
        assert "06000123" not in text, "customers stay out of the log"


def test_a_failure_says_where_what_and_what_to_do() -> None:
    [failure] = checked(changed(b"T|3|34.06|", b"T|3|34.07|")).failures
    assert str(failure) == (
        "check 5 TRAILER_AMOUNT: trailer column net: says 34.07 CNY, the details give 34.06 CNY. "
        "Compute the totals again from the detail lines and send the file under the next sequence number."
    )
    assert failure.advice.to_do_zh == "请按明细重新汇总，并用下一个序号重新发送。"


def test_the_checks_are_in_order_and_every_code_has_advice() -> None:
    assert set(ADVICE) == set(FailureCode)
    order = [ADVICE[code].check for code in FailureCode]
    assert order == sorted(order)
    assert set(order) == set(Check)
    for advice in ADVICE.values():
        lines = (advice.meaning, advice.meaning_zh, advice.to_do, advice.to_do_zh)
        assert all(line and "\n" not in line for line in lines)
        assert not advice.meaning_zh.isascii()
        assert not advice.to_do_zh.isascii()


def test_the_database_can_speak_of_check_8() -> None:
    failure = Failure(FailureCode.DAY_DONE, "2024-04-03", "reconciled by sequence 001")
    assert failure.check is Check.ALREADY_DONE
    assert str(failure).startswith("check 8 DAY_DONE: 2024-04-03: reconciled by sequence 001. Have the day reopened")


# --- repeated traces


def lines(*changes: dict[str, object]) -> bytes:
    return write_settlement(HEADER, [replace(PAY, **change) for change in changes], PIPE, ZONE)  # type: ignore[arg-type]


LATER = datetime(2024, 4, 3, 9, 6, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("content", "duplicates"),
    [
        (lines({}, {"trace_no": "2"}), []),
        (lines({}, {"receivable_id": "R2"}, {"receivable_id": None}), []),
        (lines({}, {"trace_date": date(2024, 4, 2)}), []),
        (lines({}, {"kind": EntryKind.CANCEL, "original_trace_date": DAY, "original_trace_no": "1"}), []),
        (lines({}, {}), [(3, 2)]),
        (lines({}, {"trace_no": "2"}, {}, {}), [(4, 2), (5, 2)]),
        (lines({}, {"receivable_id": "R2"}, {}, {"receivable_id": "R2"}), [(4, 2), (5, 2)]),
        (lines({}, {"receivable_id": "R2", "paid_at": LATER}), [(3, 2)]),
        (lines({"receivable_id": None}, {"receivable_id": None}), [(3, 2)]),
    ],
)
def test_a_repeated_trace_is_told_and_does_not_refuse_the_file(
    content: bytes, duplicates: list[tuple[int, int]]
) -> None:
    verdict = checked(content)
    assert verdict.ok
    assert [(found.line_no, found.first_line_no) for found in verdict.duplicates] == duplicates


def test_duplicates_can_be_left_to_the_match() -> None:
    check = ContentCheck(read_settlement([lines({}, {})], PIPE, ZONE), EXPECTED, find_duplicates=False)
    assert len(list(check.entries())) == 2
    assert check.verdict().duplicates == ()


# --- clearing dates of lines, which only the .bil layout has

BIL_NAME = "0002_20240403_315810_001.bil"
BIL_EXPECTED = Expected(bank="315810", clearing_date=DAY)
LATE = replace(PAY, trace_no="2", clearing_date=date(2024, 4, 4))


def check_bil(expected: Expected, *entries: SettlementEntry) -> FileVerdict:
    content = write_settlement(HEADER, entries, BIL, ZONE)
    sig = signed(content, BIL_NAME, bank="315810")
    return check_file(BIL_NAME, BIL, ZONE, expected, sig=sig, key=KEY, open_chunks=lambda: [content])


def test_a_bil_file() -> None:
    assert check_bil(BIL_EXPECTED, PAY).ok


def test_another_clearing_date_must_be_listed_as_cross_day() -> None:
    verdict = check_bil(BIL_EXPECTED, PAY, LATE)
    [failure] = verdict.failures
    assert (failure.code, failure.where) == (FailureCode.ENTRY_DATE, "line 3")
    assert check_bil(replace(BIL_EXPECTED, cross_day={(DAY, "2")}), PAY, LATE).ok


def test_many_other_days_are_one_failure() -> None:
    entries = [replace(LATE, trace_no=str(number)) for number in range(1, 15)]
    [failure] = check_bil(BIL_EXPECTED, *entries).failures
    assert failure.where == "line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 4 more"


def test_a_shortened_bil_file_has_a_wrong_count() -> None:
    content = write_settlement(HEADER, [PAY, replace(PAY, trace_no="2")], BIL, ZONE)
    short = b"\r\n".join(content.split(b"\r\n")[:2]) + b"\r\n"
    assert codes(check_content(read_settlement([short], BIL, ZONE), BIL_EXPECTED)) == ["HEADER_COUNT", "HEADER_AMOUNT"]


# --- two stages


def test_a_file_that_changes_between_the_passes_is_refused() -> None:
    identity = check_identity(NAME, PIPE, EXPECTED, digest=digest_of([SAMPLE]), sig=signed(SAMPLE), key=KEY)
    assert identity.ok
    other = changed(b"0600012346", b"0600012399")
    assert codes(check_content(read_settlement([other], PIPE, ZONE), EXPECTED, identity)) == ["FILE_CHANGED"]


def test_a_profile_without_a_key_asks_for_the_digest_only() -> None:
    assert checked(
        SAMPLE, sig=lambda c: make_sig(FileStatement("301581000230", DAY, 1, NAME, digest_of([c]))), key=None
    ).ok
    assert codes(checked(SAMPLE, sig=lambda c: signed(c + b"x"), key=None)) == ["DIGEST_WRONG"]
    assert codes(checked(SAMPLE, sig=lambda _: None, key=None)) == ["SIG_MISSING"]


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_the_digest_of_the_profile_is_used_in_both_passes(algorithm: DigestAlgorithm) -> None:
    statement = FileStatement("301581000230", DAY, 1, NAME, digest_of([SAMPLE], algorithm), algorithm)
    expected = replace(EXPECTED, digest=algorithm)
    assert checked(SAMPLE, expected=expected, sig=lambda _: make_sig(statement, KEY.key_id, PRIVATE)).ok


def test_entries_go_by_while_they_are_checked() -> None:
    check = ContentCheck(read_settlement([SAMPLE], PIPE, ZONE), EXPECTED)
    entries = check.entries()
    assert next(entries).trace_no == "090501000001"
    with pytest.raises(RuntimeError, match="after the last line"):
        check.verdict()
    assert len(list(entries)) == 2
    assert check.verdict().ok


@settings(max_examples=60)
@given(st.integers(0, len(SAMPLE) - 1), st.binary(max_size=3))
def test_no_damaged_file_passes(position: int, damage: bytes) -> None:
    """Whatever happens to the bytes under the old signature, the digest sees it; and nothing raises without one."""
    content = SAMPLE[:position] + damage + SAMPLE[position + len(damage) + 1 :]
    if content == SAMPLE:
        return
    assert codes(checked(content, sig=lambda _: signed(SAMPLE))) == ["DIGEST_WRONG"]
    check_content(read_settlement([content], PIPE, ZONE), EXPECTED)
