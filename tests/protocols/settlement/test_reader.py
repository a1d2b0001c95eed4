"""Reading: the published samples, every kind of bad line, and bytes of every kind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.money import Money
from protocols.settlement.bil import bil_layout
from protocols.settlement.layout import Layout
from protocols.settlement.layouts import BIL, PIPE, layout_named
from protocols.settlement.lines import MAX_LINE_BYTES
from protocols.settlement.model import EntryKind, LineError, SettlementEntry, SettlementHeader, Trailer
from protocols.settlement.reader import MAX_LINE_ERRORS, SettlementReading, read_settlement
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import DigestAlgorithm

ZONE = ZoneInfo("Asia/Shanghai")
SAMPLES = Path(__file__).parents[3] / "fixtures" / "settlement"
PIPE_SAMPLE = (SAMPLES / "RECON_301581000230_20240403_001.txt").read_bytes()
BIL_SAMPLE = (SAMPLES / "0002_20120331_315810_001.bil").read_bytes()


def read(content: bytes, layout: Layout = PIPE) -> tuple[list[SettlementEntry], list[LineError], SettlementReading]:
    reading = read_settlement([content], layout, ZONE, tuple(DigestAlgorithm))
    items = list(reading)
    errors = [item for item in items if isinstance(item, LineError)]
    return [item for item in items if isinstance(item, SettlementEntry)], errors, reading


def test_the_pipe_sample() -> None:
    entries, errors, reading = read(PIPE_SAMPLE)
    assert errors == []
    assert reading.header == SettlementHeader(
        clearing_date=date(2024, 4, 3),
        bank="301581000230",
        utility="GDELEC",
        count=3,
        net=Money(3406),
        payment_count=3,
        payment_amount=Money(3406),
        cancel_count=0,
        cancel_amount=Money(0),
    )
    assert entries[1] == SettlementEntry(
        line_no=3,
        kind=EntryKind.PAY,
        trace_date=date(2024, 4, 3),
        trace_no="101502000002",
        customer_no="0600012346",
        amount=Money(2006),
        clearing_date=date(2024, 4, 3),
        paid_at=datetime(2024, 4, 3, 10, 15, 2, tzinfo=ZONE),
        receivable_id="R0000000000002",
        billing_month="202403",
        org_code="06000101",
        charge_kind="010",
        principal=Money(2006),
        penalty=Money(0),
        channel="INTERNET_BANK",
        settle_method="TRANSFER",
    )
    assert reading.trailer == Trailer(3, Money(3406))
    totals = reading.totals()
    assert (totals.count, totals.net, totals.payment_count, totals.cancel_count) == (3, Money(3406), 3, 0)
    groups = [(g.channel, g.settle_method, g.payment_count, g.payment_amount) for g in totals.groups]
    assert groups == [("BANK_COUNTER", "CASH", 2, Money(1400)), ("INTERNET_BANK", "TRANSFER", 1, Money(2006))]


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (DigestAlgorithm.MD5, "976498188df11fa7616f6d3b39c541fd"),
        (DigestAlgorithm.SHA256, "d7e7b3a253371aee92f9d82e96d33c2433f63264da73d55d52508d090f7869ee"),
        (DigestAlgorithm.SM3, "ee896f1f6fd4864d1e0df041f6c8a5dd30cc2aef85119ed40bc1054730e7c3c8"),
    ],
)
def test_the_digests_of_the_pipe_sample(algorithm: DigestAlgorithm, digest: str) -> None:
    assert len(PIPE_SAMPLE) == 487
    assert read(PIPE_SAMPLE)[2].digest(algorithm) == digest


def test_the_bil_sample() -> None:
    """The published sample is shortened: its header counts two entries and it shows one."""
    entries, errors, reading = read(BIL_SAMPLE, BIL)
    assert errors == []
    assert reading.header == SettlementHeader(
        clearing_date=date(2012, 3, 31), count=2, net=Money(20000), utility_reference="12033100019051"
    )
    assert entries == [
        SettlementEntry(
            line_no=2,
            kind=EntryKind.PAY,
            trace_date=date(2012, 3, 31),
            trace_no="033100018475",
            customer_no="012345678901",
            amount=Money(10000),
            clearing_date=date(2012, 2, 21),
            paid_at=datetime(2012, 3, 31, 17, 3, 50, tzinfo=ZONE),
            billing_month="201002",
            reference_no="120227000012",
            account="62220000000000018",
        )
    ]
    assert (reading.trailer, reading.totals().net) == (None, Money(10000))


def test_the_detail_of_the_bil_sample_is_written_byte_for_byte() -> None:
    entries, _, reading = read(BIL_SAMPLE, BIL)
    assert reading.header is not None
    written = write_settlement(reading.header, entries, bil_layout(customer_suffix=".0505"), ZONE)
    assert written.split(b"\r\n")[1] == BIL_SAMPLE.split(b"\r\n")[1]


BIL_HEAD = "20240403|1|10000||\n"


def bil_row(
    month_day: str = "0403", kind: str = "0200", original: str = "", utility: str = "|", cheque: str = ""
) -> bytes:
    row = f"240403000012|012345678901|{month_day}|20240403|170350|033100018475||{kind}|10000|{original}|{utility}|"
    return (BIL_HEAD + row + cheque + "20240399|\n").encode("gbk")


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (bil_row(), {"clearing_date": date(2024, 4, 3), "kind": EntryKind.PAY, "cheque_no": None}),
        (bil_row(month_day=""), {"clearing_date": date(2024, 4, 3)}),
        (bil_row(month_day="1231"), {"clearing_date": date(2023, 12, 31)}),
        (bil_row(month_day="0404"), {"clearing_date": date(2024, 4, 4)}),
        (bil_row(cheque="CH123456|"), {"cheque_no": "CH123456", "billing_month": "202403"}),
        (bil_row(cheque="|"), {"cheque_no": None, "billing_month": "202403"}),
        (bil_row(utility="20240403|170351"), {"utility_at": datetime(2024, 4, 3, 17, 3, 51, tzinfo=ZONE)}),
        (bil_row(original="000000000000"), {"original_reference_no": None, "original_trace_no": None}),
        (
            bil_row(kind="0400", original="240403000007"),
            {
                "kind": EntryKind.CANCEL,
                "signed_fen": -10000,
                "original_reference_no": "240403000007",
                "original_trace_no": None,
            },
        ),
        (
            bil_row(kind="0400", original="000000000000"),
            {
                "original_reference_no": None,
                "original_trace_date": date(2024, 4, 3),
                "original_trace_no": "033100018475",
            },
        ),
    ],
)
def test_what_a_bil_row_means(content: bytes, changes: dict[str, object]) -> None:
    entries, errors, _ = read(content, BIL)
    assert errors == []
    assert {name: getattr(entries[0], name) for name in changes} == changes


@pytest.mark.parametrize(
    ("content", "column", "what"),
    [
        (bil_row(kind="0400"), "original_reference_no", "carries the original"),
        (bil_row(original="240403000007"), "original_reference_no", "names no original"),
        (bil_row(utility="20240403|"), "utility_time", "come together"),
        (bil_row(month_day="0229").replace(b"20240403|1|", b"20260403|1|"), "utility_clearing_date", "not exist"),
        (bil_row(kind="0210"), "type", "must be one of 0200, 0400"),
        (bil_row(cheque="CH|X|"), None, "has 15 columns; 13 or 14"),
        (bil_row().replace(b"|0200|10000|", b"|0200|100.00|"), "amount", "digits only"),
    ],
)
def test_a_bil_row_is_refused(content: bytes, column: str | None, what: str) -> None:
    entries, [error], _ = read(content, BIL)
    assert entries == []
    assert (error.line_no, error.column) == (2, column)
    assert what in error.what


# --- bad lines: (what is replaced in the sample, by what, the line, the column, the refusal)

SECOND = b"D|2|PAY|20240403|101502000002|20240403101502|0600012346|R0000000000002|202403|06000101|010|20.06|20.06|0.00|"
BAD_LINES: list[tuple[bytes, bytes, int, str | None, str]] = [
    (b"|20.06|20.06|", b"|20.065|20.06|", 3, "amount", "at most two decimals"),
    (b"|20.06|20.06|", b"|-20.06|20.06|", 3, "amount", "negative"),
    (b"|20.06|20.06|", b"|twenty|20.06|", 3, "amount", "not an amount"),
    (b"|20.06|20.06|", b"|0.00|20.06|", 3, "amount", "zero"),
    (b"|20.06|20.06|", b"||20.06|", 3, "amount", "is empty"),
    (b"|20.06|20.06|", b"|2006|20.06|", 3, "amount", "exactly two decimals"),
    (b"|20.06|20.06|", b"|20.06|-20.06|", 3, "principal", "negative"),
    (b"|20.06|20.06|", b"|20.06|", 3, None, "has 19 columns; 20 are expected"),
    (b"|20.06|20.06|", b"|20.06|20.06|20.06|", 3, None, "has 21 columns; 20 are expected"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK|||", 3, None, "has 19 columns"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK||||rest", 3, None, "end with a pipe"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK||||\x20", 3, None, "end with a pipe"),
    (b"|20240403101502|", b"|20240431101502|", 3, "paid_at", "does not exist"),
    (b"PAY|20240403|1015", b"PAY|20230229|1015", 3, "trace_date", "does not exist"),
    (b"|101502000002|", b"||", 3, "trace_no", "is empty"),
    (b"|0600012346|", b"|06000 12346|", 3, "customer_no", "letters, digits"),
    (b"|0600012346|", b"|060001234606000123460|", 3, "customer_no", "at most 20"),
    (b"0002|202403|", b"0002|202400|", 3, "billing_month", "yyyymm"),
    (b"D|2|PAY|", b"D|2|REFUND|", 3, "type", "must be one of PAY, CANCEL, REVERSAL"),
    (b"D|2|PAY|", b"D|2|CANCEL|", 3, "original_trace_date", "must name the original"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK|20240403|1||", 3, "original_trace_date", "names no original"),
    (b"TRANSFER|OK|", b"TRANSFER|SUSPECT|", 3, "status", "must be one of OK"),
    (b"TRANSFER|OK|", b"transfer|OK|", 3, "settle_method", "capital letters"),
    (b"D|3|PAY|", b"D|7|PAY|", 4, "seq", "3 is expected"),
    (b"D|2|PAY|", b"X|2|PAY|", 3, "tag", "must be D"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK|||\xff\xff|", 3, None, "no character of GBK"),
    # A lead byte without its second half swallows the pipe: the line has a column less.
    (b"TRANSFER|OK||||", b"TRANSFER\xd5|OK||||", 3, None, "has 19 columns"),
    (b"TRANSFER|OK||||\r\n", b"TRANSFER|OK||||\n", 3, None, "must end with CRLF"),
    (b"TRANSFER|OK||||\r\n", b"TRANSFER|OK||||\r\n\r\n", 4, None, "has 0 columns"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK|||" + b"x" * 129 + b"|", 3, "remark", "at most 128"),
    (b"TRANSFER|OK||||", b"TRANSFER|OK|||" + b"x" * MAX_LINE_BYTES + b"|", 3, None, "longer than 4096 bytes"),
    (b"T|3|34.06|\r\n", b"", 5, None, "trailer is missing"),
    (b"T|3|34.06|\r\n", b"T|3|34.06|\r\nT|3|34.06|\r\n", 6, None, "nothing may follow"),
    (b"T|3|34.06|\r\n", b"T|3|34.06|\r\ngarbage", 6, None, "nothing may follow"),
    (b"T|3|34.06|\r\n", b"T|3|34.06|", 5, None, "has no end"),
    (b"T|3|34.06|\r\n", b"T|3|34,06|\r\n", 5, "net", "not an amount"),
    (b"T|3|34.06|\r\n", b"T|3|\r\n", 5, None, "has 2 columns"),
]


@pytest.mark.parametrize(("old", "new", "line_no", "column", "what"), BAD_LINES)
def test_a_bad_line_is_told_and_the_others_are_read(
    old: bytes, new: bytes, line_no: int, column: str | None, what: str
) -> None:
    assert PIPE_SAMPLE.count(old) == 1
    entries, [error], _ = read(PIPE_SAMPLE.replace(old, new))
    assert (error.line_no, error.column) == (line_no, column)
    assert what in error.what
    inserted = what == "has 0 columns"
    bad = {3: "101502000002", 4: "111502000003"}.get(line_no if not inserted else 0)
    assert [e.trace_no for e in entries] == [t for t in ("090501000001", "101502000002", "111502000003") if t != bad]


@pytest.mark.parametrize(
    ("content", "column", "what"),
    [
        (b"", None, "the file is empty"),
        (PIPE_SAMPLE.split(b"\r\n", 1)[1], "tag", "header is missing"),
        (b"\xef\xbb\xbf" + PIPE_SAMPLE, None, "byte order mark"),
        (PIPE_SAMPLE.replace(b"|2.0|", b"|1.0|"), "version", "must be 2.0"),
        (PIPE_SAMPLE.replace(b"GDELEC|20240403|", b"GDELEC|20240230|"), "clearing_date", "does not exist"),
        (PIPE_SAMPLE.replace(b"|CNY|", b"|C_1|"), "currency", "ISO 4217"),
        (PIPE_SAMPLE.replace(b"|CNY|3|", b"|CNY|three|"), "count", "digits only"),
        (PIPE_SAMPLE.replace(b"|0|0.00|\r", b"|0|\r"), None, "has 12 columns; 13"),
        (PIPE_SAMPLE.replace(b"\r\n", b"\n"), None, "must end with CRLF"),
        (b"H|RECON", None, "has no end"),
    ],
)
def test_without_a_header_the_rest_is_only_digested(content: bytes, column: str | None, what: str) -> None:
    entries, [error], reading = read(content)
    assert (error.line_no, error.column) == (1, column)
    assert what in error.what
    assert (entries, reading.header, reading.detail_lines) == ([], None, 0)
    assert reading.digest() == read(content)[2].digest()
    assert reading.digest() != read(content + b"x")[2].digest()


def test_all_wrong_columns_of_a_line_are_told() -> None:
    line = SECOND.replace(b"20.06|20.06", b"20.065|-1").replace(b"202403|06", b"202413|06")
    _, errors, _ = read(PIPE_SAMPLE.replace(SECOND, line))
    assert [error.column for error in errors] == ["billing_month", "amount", "principal"]
    assert str(errors[1]) == "line 3 column amount: an amount has at most two decimals"


def test_a_gap_in_the_numbers_is_one_error() -> None:
    gone = PIPE_SAMPLE.replace(SECOND, b"D|9" + SECOND[3:]).replace(b"D|3|", b"D|10|")
    _, errors, _ = read(gone)
    assert [(error.line_no, error.column) for error in errors] == [(3, "seq")]


def test_errors_are_bounded() -> None:
    rows = b"".join(b"D|%d|no\r\n" % number for number in range(MAX_LINE_ERRORS + 25))
    _, errors, reading = read(PIPE_SAMPLE.split(b"D|", 1)[0] + rows + b"T|0|0.00|\r\n")
    assert (len(errors), reading.errors, reading.errors_left_out) == (1000, 1025, 25)


def test_a_file_without_line_ends_is_not_kept_in_memory() -> None:
    def endless() -> Iterable[bytes]:
        yield b"20240403|0|0||\n"
        for _ in range(500):
            yield b"x" * 65536

    reading = read_settlement(endless(), BIL, ZONE)
    [error] = list(reading)
    assert isinstance(error, LineError)
    assert "longer than" in error.what


@pytest.mark.parametrize("text", ["張誠倈億", "亅媩峾巪"])
def test_a_pipe_byte_inside_a_gbk_character_is_no_pipe(text: str) -> None:
    """The second byte of 億 (83 7C) is a pipe to whoever cuts before decoding."""
    assert "倈億".encode("gbk").count(b"|") == 2
    entries, errors, _ = read(PIPE_SAMPLE.replace(b"TRANSFER|OK||||", b"TRANSFER|OK|||" + text.encode("gbk") + b"|"))
    assert errors == []
    assert entries[1].remark == text


def test_a_header_can_be_read_alone() -> None:
    reading = read_settlement([PIPE_SAMPLE], PIPE, ZONE)
    header = reading.read_header()
    assert header is not None
    assert header is reading.read_header()
    assert len(list(reading)) == 3


def test_a_reading_is_read_once_and_tells_nothing_early() -> None:
    reading = read_settlement([PIPE_SAMPLE], PIPE, ZONE)
    with pytest.raises(RuntimeError, match="after the last line"):
        reading.digest()
    list(reading)
    with pytest.raises(RuntimeError, match="read once"):
        iter(reading)
    with pytest.raises(RuntimeError, match="not asked for SM3"):
        reading.digest(DigestAlgorithm.SM3)


def test_what_is_private_is_not_in_a_repr() -> None:
    entries, _, _ = read(BIL_SAMPLE, BIL)
    assert "012345678901" not in repr(entries[0])
    assert "62220000000000018" not in repr(entries[0])


ALL_LAYOUTS = [layout_named(n, c, a) for n in ("pipe", "bil") for c in ("UTF-8", "GBK", "GB18030") for a in ("yuan",)]
NOISE = st.binary(max_size=400)
HEADERS = st.sampled_from([b"", PIPE_SAMPLE[: PIPE_SAMPLE.index(b"D|")], BIL_SAMPLE[: BIL_SAMPLE.index(b"\r\n") + 2]])
PIECES = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([b"|", b"\r\n", b"\n", b"D|1|", b"T|", b"20240403", b"\xd5"])),
    max_size=60,
).map(b"".join)


@given(st.sampled_from(ALL_LAYOUTS), HEADERS, st.one_of(NOISE, PIECES))
def test_no_bytes_raise(layout: Layout, header: bytes, noise: bytes) -> None:
    entries, errors, reading = read(header + noise, layout)
    assert reading.finished
    assert reading.totals().count == len(entries)
    assert errors or reading.header is not None


@given(st.integers(0, len(PIPE_SAMPLE) - 1), st.binary(min_size=1, max_size=3))
def test_no_damage_raises(position: int, damage: bytes) -> None:
    _, _, reading = read(PIPE_SAMPLE[:position] + damage + PIPE_SAMPLE[position + len(damage) :])
    assert reading.finished


@given(st.one_of(st.just(PIPE_SAMPLE), NOISE, PIECES.map(lambda noise: PIPE_SAMPLE + noise)), st.data())
def test_chunk_boundaries_do_not_matter(content: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    chunks = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    whole, pieces = (read_settlement(c, PIPE, ZONE) for c in ([content], chunks))
    assert list(whole) == list(pieces)
    assert whole.digest() == pieces.digest()


def test_byte_by_byte() -> None:
    reading = read_settlement((PIPE_SAMPLE[i : i + 1] for i in range(len(PIPE_SAMPLE))), PIPE, ZONE)
    assert [getattr(item, "trace_no", None) for item in reading] == ["090501000001", "101502000002", "111502000003"]
