"""Which partition a customer lives in, for ever.

Strategy: a partition is a schema `ledger_NN`. A customer's home is a stable hash of the payment number (缴费号), so
that customers who pay under one number live together; a customer number is its own payment number unless the
directory says otherwise. The directory holds only the exceptions, in memory.

Rules: the hash never changes (its test vectors are fixed), the number of partitions is fixed when the database is
initialised, and a home is permanent: a change of payment number that would move a customer is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from gateway.database import Connection, load_sql

MAX_PARTITIONS = 100  # two digits in schema names and reference numbers
DIRECTORY_CHANNEL = "busbar_payment_number"  # NOTIFY says that the directory has grown
_SQL = "gateway.ledger.sql"


def home(payment_no: str, partitions: int) -> int:
    """The partition of a payment number: the first 8 bytes of its SHA-256, big endian, modulo `partitions`."""
    if not payment_no:
        raise ValueError("a payment number can't be empty")
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise ValueError(f"partitions: 1 to {MAX_PARTITIONS}")
    return int.from_bytes(hashlib.sha256(payment_no.encode()).digest()[:8], "big") % partitions


def schema_name(partition: int) -> str:
    """`ledger_00` … `ledger_99`."""
    if not 0 <= partition < MAX_PARTITIONS:
        raise ValueError(f"partition {partition}: 0 to {MAX_PARTITIONS - 1}")
    return f"ledger_{partition:02d}"


def schema_names(partitions: int) -> Iterator[str]:
    return (schema_name(partition) for partition in range(partitions))


class Directory:
    """Customer number to home, by the exceptions that the database lists."""

    def __init__(self, partitions: int, payment_numbers: Mapping[str, str] | None = None) -> None:
        self._partitions = partitions
        self._payment_numbers = dict(payment_numbers or {})

    def __len__(self) -> int:
        return len(self._payment_numbers)

    def listed(self, customer_no: str) -> str | None:
        """The payment number of a customer whose number is another one; None for all others."""
        return self._payment_numbers.get(customer_no)

    def payment_no(self, customer_no: str) -> str:
        return self._payment_numbers.get(customer_no, customer_no)

    def home(self, customer_no: str) -> int:
        return home(self.payment_no(customer_no), self._partitions)

    def add(self, customer_no: str, payment_no: str) -> None:
        self._payment_numbers[customer_no] = payment_no


async def load_directory(connection: Connection, partitions: int) -> Directory:
    """Read the exceptions once; some hundred thousand fit in memory with ease."""
    rows = await connection.fetch(load_sql(_SQL, "load_payment_numbers"))
    return Directory(partitions, {row["customer_no"]: row["payment_no"] for row in rows})
