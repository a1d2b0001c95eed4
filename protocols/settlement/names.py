"""File names: the first thing that is checked, before anything is opened.

Strategy: one pattern per layout, used in both directions. The name tells bank, clearing date, sequence and, in the
Guangzhou names, what the entries are:

- pipe: `RECON_{bank}_{yyyymmdd}_{sequence}.txt`
- bil:  `{0001 debits | 0002 payments}_{yyyymmdd}_{bank}_{sequence}.bil`

The sequence has three digits and counts a bank's files of one day and kind from 001; a replacement is the next number.
`.sig` is appended to the whole name. Upper and lower case matter, and so that a name can never lead out of a folder,
nothing but letters, digits and hyphens can be in its parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from protocols.errors import ProtocolError
from protocols.settlement.layout import Layout

SIG_SUFFIX = ".sig"
MAX_SEQUENCE = 999


class FileKind(StrEnum):
    """What a file's entries are: debits ordered by the utility (划账), or payments (缴费)."""

    DEBITS = "DEBITS"
    PAYMENTS = "PAYMENTS"


@dataclass(frozen=True, slots=True)
class FileName:
    """A file name taken apart."""

    bank: str
    clearing_date: date
    sequence: int
    kind: FileKind = FileKind.PAYMENTS


@dataclass(frozen=True, slots=True)
class _Pattern:
    expression: re.Pattern[str]
    template: str
    example: str
    codes: dict[FileKind, str]


_PATTERNS = {
    "pipe": _Pattern(
        re.compile(r"(?P<code>RECON)_(?P<bank>[0-9A-Za-z-]{1,20})_(?P<day>[0-9]{8})_(?P<sequence>[0-9]{3})\.txt\Z"),
        "{code}_{bank}_{day}_{sequence:03d}.txt",
        "RECON_301581000230_20240403_001.txt",
        {FileKind.PAYMENTS: "RECON"},
    ),
    "bil": _Pattern(
        re.compile(r"(?P<code>000[12])_(?P<day>[0-9]{8})_(?P<bank>[0-9A-Za-z-]{1,20})_(?P<sequence>[0-9]{3})\.bil\Z"),
        "{code}_{day}_{bank}_{sequence:03d}.bil",
        "0002_20240403_315810_001.bil",
        {FileKind.DEBITS: "0001", FileKind.PAYMENTS: "0002"},
    ),
}


def parse_name(name: str, layout: Layout) -> FileName:
    """Take a name apart; ProtocolError if it isn't one of this layout. No folder, no `.sig`."""
    pattern = _PATTERNS[layout.name]
    match = pattern.expression.match(name)
    if match is None:
        raise ProtocolError("file name", f"must look like {pattern.example}")
    day, sequence = match["day"], int(match["sequence"])
    try:
        clearing_date = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        raise ProtocolError("file name", "its date does not exist") from None
    if sequence == 0:
        raise ProtocolError("file name", "the sequence counts from 001")
    kind = next(kind for kind, code in pattern.codes.items() if code == match["code"])
    return FileName(match["bank"], clearing_date, sequence, kind)


def format_name(name: FileName, layout: Layout) -> str:
    """The name of a file; ProtocolError if this layout can't carry it."""
    pattern = _PATTERNS[layout.name]
    if name.kind not in pattern.codes:
        raise ProtocolError("file name", f"this layout has no file of {name.kind.lower()}")
    day = name.clearing_date.isoformat().replace("-", "")
    text = pattern.template.format(code=pattern.codes[name.kind], bank=name.bank, day=day, sequence=name.sequence)
    if not 1 <= name.sequence <= MAX_SEQUENCE or parse_name(text, layout) != name:
        raise ProtocolError("file name", f"bank or sequence does not fit {pattern.example}")
    return text
