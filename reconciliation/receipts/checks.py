"""The identities of the receipts report, checked before anything is written.

Strategy: every row must add up in itself, the subtotals and the total must be the sums of their rows, the day's cash
must be the same by channel, by org unit and by what our double entry says the banks owe, and the prepayment balances
must have moved by what the report shows. One that fails refuses the report.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciliation.errors import ReceiptsRefused
from reconciliation.identity import Identity, first_failing
from reconciliation.receipts.rows import Level, ReceiptsReport, ReceiptsRow
from reconciliation.receipts.words import MEASURES, NOT_ADDITIVE


def identities(report: ReceiptsReport) -> tuple[Identity, ...]:
    """All equations of a report, rows first."""
    return (*_of_rows(report), *_of_sums(report), *_of_other_figures(report))


def check(report: ReceiptsReport) -> tuple[Identity, ...]:
    """The equations, all of which hold; raises ReceiptsRefused for the first one that does not."""
    equations = identities(report)
    failing = first_failing(equations)
    if failing is not None:
        where = f"clearing date {report.clearing_date}"
        raise ReceiptsRefused(where, failing.name, failing.left_fen, failing.right_fen)
    return equations


def _of_rows(report: ReceiptsReport) -> Iterator[Identity]:
    for row in report.rows:
        of = row.measures
        ages = of["principal_current_month"] + of["principal_current_year"] + of["principal_prior_year"]
        received = of["principal_total"] + of["penalty"] + of["other_charges"]
        cash = of["received_total"] + of["prepayment_in"] - of["prepayment_applied"]
        yield Identity(
            f"principal_total = current month + current year + prior years ({row.label})", of["principal_total"], ages
        )
        yield Identity(
            f"received_total = principal_total + penalty + other ({row.label})", of["received_total"], received
        )
        yield Identity(
            f"cash_total = received_total + prepayment_in - prepayment_applied ({row.label})", of["cash_total"], cash
        )


def _of_sums(report: ReceiptsReport) -> Iterator[Identity]:
    banks = sorted({row.bank for row in report.rows if row.level is Level.SUBTOTAL})
    for bank in banks:
        subtotal = next(row for row in report.rows if row.level is Level.SUBTOTAL and row.bank == bank)
        yield from _adds_up(subtotal, [row for row in report.rows if row.level is Level.DETAIL and row.bank == bank])
    yield from _adds_up(report.total, [row for row in report.rows if row.level is Level.SUBTOTAL])


def _adds_up(above: ReceiptsRow, below: list[ReceiptsRow]) -> Iterator[Identity]:
    for measure in MEASURES:
        if measure.name not in NOT_ADDITIVE:
            yield Identity(
                f"{measure.name} of its rows adds up ({above.label})",
                above.measures[measure.name],
                sum(row.measures[measure.name] for row in below),
            )


def _of_other_figures(report: ReceiptsReport) -> Iterator[Identity]:
    cash, other = report.total.measures["cash_total"], report.other
    moved = report.total.measures["prepayment_in"] - report.total.measures["prepayment_applied"]
    yield Identity("cash_total = sum over channels", cash, other.by_channel_fen)
    yield Identity("cash_total = sum over org units", cash, other.by_org_unit_fen)
    yield Identity("cash_total = sum over banks (due from bank)", cash, other.by_bank_fen)
    yield Identity(
        "closing prepayment = opening + prepayment_in - prepayment_applied",
        other.closing_prepayment_fen,
        other.opening_prepayment_fen + moved,
    )
