"""A bank's acknowledgement log: what the bank was told, one JSON object a line (the format is in the README).

Strategy: lines are read one by one and checked alone; a file is never held in memory. A log with a line that can't be
understood proves nothing, so every mistake is collected with its file and line, and then the whole log is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

KINDS = ("PAYMENT", "SAME_DAY_CANCEL", "REVERSAL")
OUTCOME_CLASSES = ("success", "final_refusal", "retry_later", "unknown_outcome")
COLUMNS = (
    *("source", "bank", "kind", "trace_date", "trace_no", "amount_minor", "currency", "reference_no", "clearing_date"),
    "outcome_class",
)
MISTAKES_TOLD = 20  # a screenful; they are all counted
_FIELDS = frozenset(COLUMNS) - {"source"}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_REFERENCE = re.compile(r"[0-9]{12}\Z")
_LONGEST_TEXT = 32

Line = tuple[str, str, str, date, str, int | None, str | None, str | None, date | None, str]


class AcknowledgementError(ValueError):
    """A log that can't be understood; `str` gives one line for each mistake, with file and line."""


@dataclass(slots=True)
class AcknowledgementLogs:
    """Reads the files in the order given. `lines` is run through once; then `raise_mistakes`."""

    paths: Sequence[Path]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOME_CLASSES, 0))
    _mistakes: list[str] = field(default_factory=list)
    _mistake_count: int = 0

    def lines(self) -> Iterator[Line]:
        """Every good line, as the columns of the table `acknowledged`; OSError where a file can't be read."""
        for path in self.paths:
            with path.open("rb") as file:
                for number, text in enumerate(file, start=1):
                    line = self._line(f"{path.name}:{number}", text)
                    if line is not None:
                        self.counts[line[-1]] += 1
                        yield line

    def raise_mistakes(self) -> None:
        """Raises AcknowledgementError if there was any."""
        if not self._mistakes:
            return
        more = self._mistake_count - len(self._mistakes)
        told = [*self._mistakes, *([f"{more} more lines like these"] if more else [])]
        raise AcknowledgementError("\n".join(told))

    def _line(self, source: str, text: bytes) -> Line | None:
        try:
            return parse_line(source, text)
        except ValueError as error:
            self._mistake_count += 1
            if len(self._mistakes) < MISTAKES_TOLD:
                self._mistakes.append(f"{source}: {error}")
            return None


def parse_line(source: str, text: bytes) -> Line:
    """One line as columns; raises ValueError, which says what is wrong, without the values."""
    try:
        values = json.loads(text.decode("utf-8"))
    except ValueError:
        raise ValueError("is not a JSON object in UTF-8; was the line cut off?") from None
    if not isinstance(values, dict):
        raise ValueError("is not a JSON object")
    unknown, missing = set(values) - _FIELDS, _FIELDS - set(values)
    if unknown or missing:
        raise ValueError(f"fields missing: {_names(missing)}; fields unknown: {_names(unknown)}")
    outcome_class = _one_of(values, "outcome_class", OUTCOME_CLASSES)
    is_success = outcome_class == "success"
    return (
        source,
        _text(values, "bank"),
        _one_of(values, "kind", KINDS),
        _date(values, "trace_date"),
        _text(values, "trace_no"),
        _amount(values, needed=is_success),
        _pattern(values, "currency", _CURRENCY, "three capital letters", needed=is_success),
        _pattern(values, "reference_no", _REFERENCE, "12 digits, or null where none was told", needed=False),
        None if values["clearing_date"] is None else _date(values, "clearing_date"),
        outcome_class,
    )


def _names(names: set[Any] | frozenset[str]) -> str:
    return ", ".join(sorted(str(name)[:_LONGEST_TEXT] for name in names)) or "none"


def _text(values: dict[str, Any], name: str) -> str:
    value = values[name]
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT or "\0" in value:
        raise ValueError(f"{name}: text of 1 to {_LONGEST_TEXT} characters is expected")
    return value


def _one_of(values: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    if values[name] not in allowed:
        raise ValueError(f"{name}: one of {', '.join(allowed)} is expected")
    return str(values[name])


def _date(values: dict[str, Any], name: str) -> date:
    value = values[name]
    try:
        if isinstance(value, str) and _DATE.match(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{name}: a date that exists is expected, as 2026-11-23")


def _amount(values: dict[str, Any], *, needed: bool) -> int | None:
    value = values["amount_minor"]
    if value is None and not needed:
        return None
    if type(value) is not int or not 0 < value < 2**63:
        raise ValueError("amount_minor: a positive integer of minor units (fen) is expected")
    return value


def _pattern(values: dict[str, Any], name: str, pattern: re.Pattern[str], expected: str, *, needed: bool) -> str | None:
    value = values[name]
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not pattern.match(value):
        raise ValueError(f"{name}: {expected} are expected")
    return value
