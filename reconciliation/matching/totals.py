"""Totals first: both sides summed by the groups that the bank's layout can show, before any detail is compared.

A clerk reads them to see where a difference lies; detail is always matched, since equal totals can hide two mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis

from reconciliation.matching.entries import PAY

# Columns by which a layout's totals are grouped; the total over everything always comes with them.
GROUPS_BY_LAYOUT: Mapping[str, tuple[str, ...]] = {"pipe": ("channel", "settle_method"), "bil": ("direction",)}
SIDES = ("bank", "utility")


@dataclass(frozen=True, slots=True)
class GroupTotal:
    """One group's count of entries and signed sum on both sides; `group` is empty for the whole file."""

    group: tuple[str, ...]
    bank_count: int
    bank_fen: int
    utility_count: int
    utility_fen: int

    @property
    def agrees(self) -> bool:
        return (self.bank_count, self.bank_fen) == (self.utility_count, self.utility_fen)


def group_totals(bank: Any, utility: Any, columns: tuple[str, ...]) -> Any:
    """Counts and signed sums by `columns`, both sides in one row (zeros where a side has none), in group order."""
    both = _summed(bank, columns, "bank").union(_summed(utility, columns, "utility"))
    grouped = both.group_by(list(columns)).agg(
        bank_count=both.bank_count.sum().cast("int64"),
        bank_fen=both.bank_fen.sum().cast("int64"),
        utility_count=both.utility_count.sum().cast("int64"),
        utility_fen=both.utility_fen.sum().cast("int64"),
    )
    return grouped.order_by(list(columns))


def _summed(entries: Any, columns: tuple[str, ...], side: str) -> Any:
    signed = (entries.direction == PAY).ifelse(entries.amount_fen, -entries.amount_fen)
    named = entries.mutate(**{name: entries[name].fill_null("-") for name in columns}, signed=signed)
    zero = ibis.literal(0, "int64")
    sums = {"count": named.count().cast("int64"), "fen": named.signed.sum().cast("int64")}
    summed = named.group_by(list(columns)).agg(**sums)
    return summed.select(
        *columns,
        **{f"{name}_{what}": summed[what] if name == side else zero for name in SIDES for what in sums},
    )


def read_totals(rows: list[Mapping[str, Any]], columns: tuple[str, ...]) -> tuple[GroupTotal, ...]:
    """Rows of `group_totals` as values, the whole file first."""
    groups = tuple(
        GroupTotal(
            tuple(str(row[name]) for name in columns),
            row["bank_count"],
            row["bank_fen"],
            row["utility_count"],
            row["utility_fen"],
        )
        for row in rows
    )
    whole = GroupTotal(
        (),
        sum(group.bank_count for group in groups),
        sum(group.bank_fen for group in groups),
        sum(group.utility_count for group in groups),
        sum(group.utility_fen for group in groups),
    )
    return (whole, *groups)
