"""Names of settlement files: which bank, which clearing date, which sequence of that day.

Strategy: one pattern per layout, the same for reading and writing. The Guangzhou names are the field's
(`0002_yyyymmdd_315810_001.bil`; 0001 are debits that the utility starts, 0002 payments); the pipe file's name is ours
(`RECON_301581000230_yyyymmdd_001.txt`). Sequence 001 is the day's file; a higher one replaces it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from protocols.errors import DateError, ProtocolError
from protocols.settlement.layouts import LayoutName

_PATTERNS = {
    "pipe": re.compile(r"RECON_(?P<bank>[0-9A-Za-z]{1,20})_(?P<date>[0-9]{8})_(?P<sequence>[0-9]{3})\.txt"),
    "bil": re.compile(r"000[12]_(?P<date>[0-9]{8})_(?P<bank>[0-9A-Za-z]{1,20})_(?P<sequence>[0-9]{3})\.bil"),
}
_FORMATS = {
    "pipe": "RECON_{bank}_{date:%Y%m%d}_{sequence:03d}.txt",
    "bil": "0002_{date:%Y%m%d}_{bank}_{sequence:03d}.bil",
}


@dataclass(frozen=True, slots=True)
class FileName:
    """What a name says; `bank` as the file knows it (`bank_in_file` of the profile)."""

    bank: str
    clearing_date: date
    sequence: int


def parse_name(name: str, layout: LayoutName) -> FileName:
    """What the name of a file says; raises ProtocolError where it is not of the layout's pattern."""
    match = _PATTERNS[layout].fullmatch(name)
    if match is None:
        raise ProtocolError(
            "file name", f"is not of the form {format_name(FileName('BANK', date(2024, 4, 3), 1), layout)}"
        )
    text = match["date"]
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise DateError("file name", "has a date that does not exist") from None
    return FileName(match["bank"], day, int(match["sequence"]))


def format_name(name: FileName, layout: LayoutName) -> str:
    """The name of a file of that layout."""
    return _FORMATS[layout].format(bank=name.bank, date=name.clearing_date, sequence=name.sequence)
