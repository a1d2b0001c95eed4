"""Mistakes in configuration files, as a person can mend them: `file:line: where: what to do`.

Strategy: pydantic finds what is wrong; here its report is turned into our words, once. A place in its report may hold
names that are not in the file (which member of a union it tried): those are left out, so that the place is one that
the reader can find. Input values are never quoted: one of them could be a password put in the wrong place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.banks.profile import BankProfile, BankXmlWire, Iso8583Wire, SettlementRules
from gateway.config_file import MODELS
from gateway.config_lines import Lines, dotted

_KNOWN_KEYS = sorted(
    {name for model in (*MODELS, BankProfile, Iso8583Wire, BankXmlWire, SettlementRules) for name in model.model_fields}
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: `file` relative to the installation, `line` from 1, `where` a dotted path, `what` to do."""

    file: str
    line: int
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where}: {self.what}"


def from_validation(error: ValidationError, file: str, values: Mapping[str, Any], lines: Lines) -> Iterable[Mistake]:
    """Each mistake of a pydantic report about `values`, which were read from `file`."""
    for detail in error.errors(include_url=False, include_input=False):
        path = _path_in_file(detail["loc"], values)
        yield Mistake(file, lines.of(path), dotted(path) or "file", _what(detail["type"], detail["msg"], path))


def _path_in_file(location: Sequence[str | int], values: Any) -> tuple[str | int, ...]:
    """The location without the names of union members, which pydantic adds and the file does not have."""
    path: list[str | int] = []
    current = values
    for part in location:
        if isinstance(current, Mapping) and part not in current and part in current.values():
            continue
        path.append(part)
        if isinstance(current, Mapping):
            current = current.get(part)
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            current = current[part]
        else:
            current = None
    return tuple(path)


def _what(kind: str, message: str, path: Sequence[str | int]) -> str:
    name = str(path[-1]) if path else ""
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, _KNOWN_KEYS, n=1)
        return "is not a known key" + (f"; did you mean {close[0]}?" if close else "; remove it")
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "union_tag_not_found":
        return 'needs a line protocol = "iso8583-guangzhou" or protocol = "bankxml"'
    if kind == "union_tag_invalid":
        return 'protocol must be "iso8583-guangzhou" or "bankxml"'
    if kind == "string_pattern_mismatch":
        return "has characters or a length that are not allowed; " + message[:1].lower() + message[1:]
    return message[:1].lower() + message[1:]
