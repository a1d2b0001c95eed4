"""What can stop a night, each as one line that says where and what to do. None of them holds a customer's data."""

# ruff: noqa: N818 - the errors are named after what happened

from __future__ import annotations


class NightError(Exception):
    """Base of everything that stops a night; its text is one line for a person."""


class NotCutOff(NightError):
    """A partition still takes payments of the day: nothing may be extracted yet."""


class NightTaken(NightError):
    """Another night runs, or has taken this day over; what this one would write is refused."""


class EvidenceChanged(NightError):
    """A Parquet file is not the one whose digest was recorded."""


class IdentityFailed(NightError):
    """The money does not add up; `name` tells which identity, `left_fen` and `right_fen` its two sides."""

    def __init__(self, where: str, name: str, left_fen: int, right_fen: int) -> None:
        self.name = name
        self.left_fen = left_fen
        self.right_fen = right_fen
        super().__init__(
            f"{where}: the identity {name!r} fails: {left_fen} fen on its left, {right_fen} fen on its right; "
            "nothing was recorded for this bank; keep the evidence folder and tell the developers"
        )


class ReceiptsRefused(NightError):
    """The receipts report is not issued: one of its identities fails. Names it and both figures."""

    def __init__(self, where: str, name: str, left_fen: int, right_fen: int) -> None:
        self.name = name
        self.left_fen = left_fen
        self.right_fen = right_fen
        super().__init__(
            f"receipts report refused, {where}: the identity {name!r} fails: {left_fen} fen against {right_fen} fen; "
            "no report was written; keep the evidence folder and tell the developers"
        )


class FontMissing(NightError):
    """The PDF needs a Chinese font; boxes are never printed."""
