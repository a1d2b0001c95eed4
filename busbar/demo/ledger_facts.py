"""What the ledger itself says at the end of the demo, in plain SQL over its published views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.database import connect

_SQL = """
SELECT
    (SELECT count(*) FROM {s}.published_payment WHERE kind IN ('PAYMENT', 'PREPAYMENT_DEPOSIT')) AS payments,
    (SELECT coalesce(sum(signed_fen), 0)::bigint FROM {s}.published_payment) AS amount_fen,
    (SELECT coalesce(sum(amount_fen), 0)::bigint FROM {s}.published_entry) AS entries_fen,
    (SELECT count(*) FROM (SELECT payment_id FROM {s}.published_entry GROUP BY payment_id HAVING sum(amount_fen) <> 0)
        AS unbalanced) AS unbalanced,
    (SELECT count(*) FROM {s}.published_receivable AS bill WHERE (received_principal_fen, received_penalty_fen) <> (
        SELECT coalesce(sum(principal_fen), 0), coalesce(sum(penalty_fen), 0)
        FROM {s}.published_receipt_line AS line WHERE line.receivable_id = bill.receivable_id)) AS wrong_sums,
    (SELECT count(*) FROM {s}.published_receivable WHERE received_principal_fen > principal_fen) AS over_settled,
    (SELECT coalesce(sum(prepayment_balance_fen), 0)::bigint FROM {s}.published_customer)
        + (SELECT coalesce(sum(amount_fen), 0)::bigint FROM {s}.published_entry WHERE account = 'PREPAYMENT')
        AS prepayment_difference_fen
"""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """Payments (cancels not counted), what is due from banks in all, and what must be zero."""

    payments: int
    amount_fen: int
    must_be_zero: Mapping[str, int]


async def read_facts(dsn: str, partitions: int) -> LedgerFacts:
    """Read all partitions; `dsn` is the night's login."""
    sums: dict[str, int] = {}
    connection = await connect(dsn, application_name="busbar demo")
    try:
        for partition in range(partitions):
            [row] = await connection.fetch(_SQL.format(s=f"ledger_{partition:02d}"))
            for name, value in row.items():
                sums[name] = sums.get(name, 0) + int(value)
    finally:
        await connection.close()
    must_be_zero = {name: sums[name] for name in sums if name not in ("payments", "amount_fen")}
    return LedgerFacts(sums["payments"], sums["amount_fen"], must_be_zero)
