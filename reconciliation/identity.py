"""An identity: an equation of money with the figures of both its sides, computed apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` says the equation in words; both sides in fen."""

    name: str
    left_fen: int
    right_fen: int

    @property
    def holds(self) -> bool:
        return self.left_fen == self.right_fen

    def as_row(self) -> dict[str, Any]:
        """For records and summaries."""
        return {"name": self.name, "left_fen": self.left_fen, "right_fen": self.right_fen, "holds": self.holds}


def first_failing(equations: Iterable[Identity]) -> Identity | None:
    """The first equation that does not hold; None where all hold."""
    return next((equation for equation in equations if not equation.holds), None)
