"""What a simulated bank needs to know: its wire, its keys, its book, its payers. Read from one TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class BankSetupError(ValueError):
    """The simulated bank's file is wrong; the text is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class BankSetup:
    """Paths are resolved against the file's folder. Keys are named by file and never printed."""

    code: str
    wire: str  # "iso8583-guangzhou" or "bankxml"
    address: str  # "host:port"
    book_file: Path
    paper_bills_file: Path
    seed: int
    workers: int
    time_zone: str
    institution: str = ""  # ISO 8583 fields 32 and 33
    utility_institution: str = "333333"  # ISO 8583 field 100
    mac_algorithm: str = "X9.19"
    mac_key_file: Path | None = field(default=None, repr=False)
    sender: str = ""  # bankxml Hdr/Sndr
    receiver: str = "UTILITY"  # bankxml Hdr/Rcvr
    key_id: str = ""
    private_key_file: Path | None = field(default=None, repr=False)
    utility_public_key_file: Path | None = None
    settlement_layout: str = "pipe"
    bank_in_file: str = ""
    utility_in_file: str = "GDELEC"
    charset: str = "GBK"
    amounts: str = "yuan"
    file_key_id: str = ""
    file_private_key_file: Path | None = field(default=None, repr=False)


_FILES = (
    "book_file",
    "paper_bills_file",
    "mac_key_file",
    "private_key_file",
    "utility_public_key_file",
    "file_private_key_file",
)


def load_setup(path: Path) -> BankSetup:
    """Read a simulated bank's TOML file; BankSetupError names the file and the first mistake."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BankSetupError(f"{path}: can't be read: {error}; write it as busbar/bank/README.md shows") from None
    for name in _FILES:
        if name in values:
            values[name] = path.parent / str(values[name])
    try:
        return BankSetup(**values)
    except TypeError as error:
        raise BankSetupError(f"{path}: {str(error).replace('BankSetup.__init__() ', '')}") from None
