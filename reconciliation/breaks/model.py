"""A break and the records of both sides that it is about.

Strategy: a break is named by a hash of what it describes (bank, day, kind and both records), so that finding it again
is the same break and not another one. What is learnt around it (are the bills still open, which entry might be the
missing half) and its age are not part of the name. Records carry customer numbers for the treatment; they never show
in a repr, and people see them masked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from reconciliation.breaks.kinds import BillState, BreakKind, Treatment, propose

ID_HEX_DIGITS = 32  # 128 bits: far beyond the breaks of any utility's lifetime
VISIBLE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One side's entry as its book has it. `receivable_ids` are joined by spaces; `line_no` is the file's."""

    direction: str
    kind: str
    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    amount_fen: int
    clearing_date: date
    key_date: date
    key_no: str
    status: str | None = None
    channel: str | None = None
    settle_method: str | None = None
    reference_no: str | None = None
    receivable_ids: str | None = field(default=None, repr=False)
    paid_at: str | None = None
    line_no: int | None = None

    def to_json(self) -> str:
        """Canonical text: sorted names, no spaces; equal records have equal text."""
        return _canonical({name: getattr(self, name) for name in _RECORD_FIELDS})

    def identity(self) -> str:
        """As `to_json`, without the line number: a replacement file may list the same entry on another line."""
        return _canonical({name: getattr(self, name) for name in _RECORD_FIELDS if name != "line_no"})


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), default=date.isoformat, ensure_ascii=False)


_RECORD_FIELDS = tuple(item.name for item in fields(Record))
_RECORD_DATES = ("trace_date", "clearing_date", "key_date")


def record_from_json(text: str) -> Record:
    """The record that `to_json` wrote."""
    values: dict[str, Any] = json.loads(text)
    return Record(**{**values, **{name: date.fromisoformat(values[name]) for name in _RECORD_DATES}})


def record_from_row(row: Mapping[str, Any], prefix: str) -> Record | None:
    """The `bank_` or `utility_` columns of a row of the match; None where that side is empty."""
    if row[f"{prefix}_direction"] is None:
        return None
    return Record(**{name: row[f"{prefix}_{name}"] for name in _RECORD_FIELDS})


@dataclass(frozen=True, slots=True)
class Break:
    """One difference of one bank and day.

    `difference_fen` is the bank's signed amount less ours on `clearing_date`: what the break explains of that day's
    difference. A cross-day break supersedes the one-sided break of the other day, whose effect stays there.
    """

    bank: str
    clearing_date: date
    kind: BreakKind
    difference_fen: int
    bank_record: Record | None = None
    utility_record: Record | None = None
    detail: str = ""  # of a FILE_ERROR: file name, digest and failed check
    rank: int = 1  # of the entry among those under one trace
    side: str = ""  # BANK or UTILITY where only one side has the entry that day
    first_seen_date: date | None = None  # of the one-sided break that this one supersedes, else the clearing date
    supersedes: str | None = None
    netted_over_days: bool = False
    bill_state: BillState = BillState.NOT_ASKED
    differs: str = ""
    proposed_match: str | None = None  # break id, by key 2
    explanation_chinese: str = ""
    explanation_english: str = ""

    @property
    def break_id(self) -> str:
        parts = [
            self.bank,
            self.clearing_date.isoformat(),
            self.kind.value,
            self.bank_record.identity() if self.bank_record else "-",
            self.utility_record.identity() if self.utility_record else "-",
            str(self.rank),
            self.detail,
        ]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:ID_HEX_DIGITS]

    @property
    def seen_from(self) -> date:
        return self.first_seen_date or self.clearing_date

    def age_days(self, as_of: date) -> int:
        """n of T+n: days from the first day on which it was seen."""
        return max(0, (as_of - self.seen_from).days)

    def treatment(self, as_of: date) -> Treatment:
        return propose(
            self.kind,
            bill_state=self.bill_state,
            side=self.side,
            netted_over_days=self.netted_over_days,
            age_days=self.age_days(as_of),
        )

    @property
    def record(self) -> Record | None:
        """The record to show where only one fits: the bank's if there is one."""
        return self.bank_record or self.utility_record


def masked(customer_no: str) -> str:
    """A customer number for display: the last four characters, all of it hidden when it is short."""
    if len(customer_no) <= 2 * VISIBLE_DIGITS:
        return "*" * len(customer_no)
    return "*" * (len(customer_no) - VISIBLE_DIGITS) + customer_no[-VISIBLE_DIGITS:]
