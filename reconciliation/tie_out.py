"""The identities of a bank's day: money first, and computed by other means than the match.

Strategy: `tie_out.sql` re-derives every term from the evidence with joins and sums of its own; nothing of the matcher
is used. The terms then meet figures that come from elsewhere: the net that the bank declared in its file, the entries
of our double entry, and the effects of the breaks that the matcher found.

    bank file net = utility net + bank only - utility only + difference of pairs + cross-day in - cross-day out
                    + duplicates of the bank - our duplicates + effect of what was undone on one side
    due from bank of the day = utility net + treatments that settle on the day
    bank file net - due from bank = the effects of the day's open breaks

and kind by kind, what the breaks explain is what the SQL says is there. All hold to the fen, or the night fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from gateway.database import load_sql
from reconciliation.breaks.kinds import BreakKind
from reconciliation.breaks.model import Break
from reconciliation.errors import IdentityFailed
from reconciliation.identity import Identity, first_failing

# Kinds of posting that a bank's own messages book; whatever else settles on a day is a treatment.
POSTING_KINDS = ("PAYMENT", "PREPAYMENT_DEPOSIT", "SAME_DAY_CANCEL", "REVERSAL", "NEXT_DAY_REVERSAL")
_TERMS = (
    "bank_only_fen",
    "utility_only_fen",
    "pair_difference_fen",
    "cross_day_in_fen",
    "cross_day_out_fen",
    "duplicate_bank_fen",
    "duplicate_utility_fen",
    "status_effect_fen",
    "utility_net_fen",
    "due_from_bank_fen",
    "treatments_fen",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The figures of `tie_out.sql`, in fen; one-sided terms are positive where the side has taken money."""

    bank_only_fen: int
    utility_only_fen: int
    pair_difference_fen: int
    cross_day_in_fen: int
    cross_day_out_fen: int
    duplicate_bank_fen: int
    duplicate_utility_fen: int
    status_effect_fen: int
    utility_net_fen: int
    due_from_bank_fen: int
    treatments_fen: int

    @property
    def explained_fen(self) -> int:
        """What the bank has more than we, by the terms."""
        one_sided = self.bank_only_fen - self.utility_only_fen + self.duplicate_bank_fen - self.duplicate_utility_fen
        return (
            one_sided
            + self.pair_difference_fen
            + self.cross_day_in_fen
            - self.cross_day_out_fen
            + self.status_effect_fen
        )


@dataclass(frozen=True, slots=True)
class TieOutInputs:
    """Evidence files of one bank and day; `payments` and `due_from_bank` hold all banks."""

    bank: str
    clearing_date: date
    bank_lines: Path
    payments: Path
    due_from_bank: Path
    pool: Path


def compute_terms(inputs: TieOutInputs) -> Terms:
    """Every term, by plain SQL on the evidence."""
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, path, of_bank in (
            ("bank_line", inputs.bank_lines, False),
            ("payment", inputs.payments, True),
            ("due_from_bank", inputs.due_from_bank, True),
            ("pool", inputs.pool, False),
        ):
            relation = connection.read_parquet(str(path))
            relation = relation.filter(duckdb.ColumnExpression("bank") == inputs.bank) if of_bank else relation
            relation.create(name)
        row = connection.execute(
            load_sql("reconciliation.sql", "tie_out"),
            {"clearing_date": inputs.clearing_date, "posting_kinds": list(POSTING_KINDS)},
        ).fetchone()
    if row is None:
        raise LookupError("the tie-out gave no row")
    return Terms(**{name: int(value) for name, value in zip(_TERMS, row, strict=True)})


def identities(terms: Terms, bank_file_net_fen: int, breaks: Iterable[Break]) -> tuple[Identity, ...]:
    """The equations, the money's first; `bank_file_net_fen` is the net that the file declares of itself."""
    effects = effects_by_kind(breaks)
    due = terms.due_from_bank_fen
    compared = (
        ("one-sided at the bank", terms.bank_only_fen + terms.duplicate_bank_fen, ("BANK_ONLY", "DUPLICATE_BANK")),
        (
            "one-sided with us",
            -terms.utility_only_fen - terms.duplicate_utility_fen,
            ("UTILITY_ONLY", "SUSPECT", "DUPLICATE_UTILITY"),
        ),
        (
            "differences of pairs",
            terms.pair_difference_fen,
            ("AMOUNT_MISMATCH", "CUSTOMER_MISMATCH", "CHANNEL_MISMATCH"),
        ),
        ("cross-day", terms.cross_day_in_fen - terms.cross_day_out_fen, ("CROSS_DAY",)),
        ("undone on one side", terms.status_effect_fen, ("STATUS_MISMATCH",)),
    )
    return (
        Identity(
            "bank file net = utility net + differences", bank_file_net_fen, terms.utility_net_fen + terms.explained_fen
        ),
        Identity("due from bank = utility net + treatments", due, terms.utility_net_fen + terms.treatments_fen),
        Identity("bank file net - due from bank = open breaks", bank_file_net_fen - due, sum(effects.values())),
        *(
            Identity(f"breaks explain: {name}", figure, sum(effects.get(BreakKind(kind), 0) for kind in kinds))
            for name, figure, kinds in compared
        ),
    )


def effects_by_kind(breaks: Iterable[Break]) -> Mapping[BreakKind, int]:
    """What the breaks of each kind explain of the day's difference, in fen."""
    effects: dict[BreakKind, int] = {}
    for found in breaks:
        effects[found.kind] = effects.get(found.kind, 0) + found.difference_fen
    return effects


def check(where: str, equations: Iterable[Identity]) -> None:
    """Raise IdentityFailed for the first equation that does not hold."""
    failing = first_failing(equations)
    if failing is not None:
        raise IdentityFailed(where, failing.name, failing.left_fen, failing.right_fen)
