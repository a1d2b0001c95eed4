"""File names, in both directions."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.settlement.layout import Layout
from protocols.settlement.layouts import BIL, PIPE
from protocols.settlement.names import FileKind, FileName, format_name, parse_name

DAY = date(2024, 4, 3)


@pytest.mark.parametrize(
    ("layout", "text", "name"),
    [
        (PIPE, "RECON_301581000230_20240403_001.txt", FileName("301581000230", DAY, 1)),
        (PIPE, "RECON_BANK-A_20240403_999.txt", FileName("BANK-A", DAY, 999)),
        (BIL, "0002_20240403_315810_001.bil", FileName("315810", DAY, 1)),
        (BIL, "0001_20240403_315810_012.bil", FileName("315810", DAY, 12, FileKind.DEBITS)),
    ],
)
def test_a_name_both_ways(layout: Layout, text: str, name: FileName) -> None:
    assert parse_name(text, layout) == name
    assert format_name(name, layout) == text


@pytest.mark.parametrize(
    ("layout", "text", "what"),
    [
        (PIPE, "", "must look like"),
        (PIPE, "0002_20240403_315810_001.bil", "must look like RECON_"),
        (BIL, "RECON_301581000230_20240403_001.txt", "must look like 0002_"),
        (PIPE, "RECON_301581000230_20240403_001.txt.sig", "must look like"),
        (PIPE, "RECON_301581000230_20240403_001.txt\n", "must look like"),
        (PIPE, "recon_301581000230_20240403_001.txt", "must look like"),
        (PIPE, "RECON_301581000230_20240403_1.txt", "must look like"),
        (PIPE, "RECON_../../etc_20240403_001.txt", "must look like"),
        (PIPE, "x/RECON_301581000230_20240403_001.txt", "must look like"),
        (PIPE, "RECON_301581000230_２０２４0403_001.txt", "must look like"),
        (BIL, "0003_20240403_315810_001.bil", "must look like"),
        (PIPE, "RECON_301581000230_20240230_001.txt", "date does not exist"),
        (BIL, "0002_20241303_315810_001.bil", "date does not exist"),
        (BIL, "0002_20240403_315810_000.bil", "counts from 001"),
    ],
)
def test_a_name_is_refused(layout: Layout, text: str, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        parse_name(text, layout)


@pytest.mark.parametrize(
    ("layout", "name", "what"),
    [
        (PIPE, FileName("1", DAY, 1, FileKind.DEBITS), "no file of debits"),
        (PIPE, FileName("1", DAY, 0), "does not fit"),
        (PIPE, FileName("1", DAY, 1000), "does not fit"),
        (BIL, FileName("a_b", DAY, 1), "must look like"),
        (BIL, FileName("", DAY, 1), "must look like"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(layout: Layout, name: FileName, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        format_name(name, layout)


@given(
    st.sampled_from([PIPE, BIL]),
    st.text("0123456789ABCxyz-", min_size=1, max_size=20),
    st.dates(),
    st.integers(1, 999),
)
def test_any_name_comes_back(layout: Layout, bank: str, day: date, sequence: int) -> None:
    name = FileName(bank, day, sequence)
    assert parse_name(format_name(name, layout), layout) == name


@given(st.sampled_from([PIPE, BIL]), st.text(max_size=60))
def test_any_text_is_a_name_or_refused(layout: Layout, text: str) -> None:
    try:
        name = parse_name(text, layout)
    except ProtocolError:
        return
    assert format_name(name, layout) == text
