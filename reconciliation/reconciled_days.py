"""Which days of which banks are reconciled (已对账): each set once, by the night that matched the first file of it.

A replacement file changes the breaks of such a day, under its own number; it does not make the day any less reconciled.
"""

from __future__ import annotations

from datetime import date, datetime

from gateway.database import DatabaseError, connect

_NOT_THERE = ("42P01", "3F000")  # no such table, no such schema


async def read_reconciled_days(night_dsn: str) -> dict[tuple[date, str], datetime]:
    """(Clearing date, bank) to when it was reconciled. Empty where no night's tables are there yet."""
    connection = await connect(night_dsn, application_name="busbar status")
    try:
        rows = await connection.fetch("SELECT clearing_date, bank, reconciled_at FROM reconciliation.reconciled_day")
    except DatabaseError as error:
        if error.sqlstate in _NOT_THERE:
            return {}
        raise
    finally:
        await connection.close()
    return {(row["clearing_date"], row["bank"]): row["reconciled_at"] for row in rows}
