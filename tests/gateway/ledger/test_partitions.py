"""Homes: the hash never changes, homes are spread, and the directory knows the exceptions."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.partitions import Directory, home, schema_name, schema_names

# Fixed for ever: a customer's home follows from these.
VECTORS = [
    ("0600000001", 4, 0),
    ("0600000002", 4, 1),
    ("0600000003", 4, 1),
    ("0600000004", 4, 0),
    ("0300000000000000001", 16, 5),
    ("户号1", 100, 18),
]


@pytest.mark.parametrize(("payment_no", "partitions", "expected"), VECTORS)
def test_vectors(payment_no: str, partitions: int, expected: int) -> None:
    assert home(payment_no, partitions) == expected


@given(st.text(min_size=1, max_size=32), st.integers(min_value=1, max_value=100))
def test_home_is_a_partition_and_the_hash_is_the_documented_one(payment_no: str, partitions: int) -> None:
    first_bytes = hashlib.sha256(payment_no.encode()).hexdigest()[:16]
    assert home(payment_no, partitions) == int(first_bytes, 16) % partitions


def test_homes_are_spread() -> None:
    counts = Counter(home(f"06{number:08d}", 4) for number in range(10_000))
    assert set(counts) == {0, 1, 2, 3}
    assert max(counts.values()) < 1.1 * min(counts.values())


@pytest.mark.parametrize(("payment_no", "partitions"), [("", 4), ("1", 0), ("1", 101), ("1", -1)])
def test_what_has_no_home(payment_no: str, partitions: int) -> None:
    with pytest.raises(ValueError, match=r"payment number|partitions"):
        home(payment_no, partitions)


def test_schema_names() -> None:
    assert list(schema_names(3)) == ["ledger_00", "ledger_01", "ledger_02"]
    with pytest.raises(ValueError, match="0 to 99"):
        schema_name(100)


def test_customers_of_one_payment_number_live_together() -> None:
    directory = Directory(100, {"0600000002": "0600000001"})
    assert directory.home("0600000002") == directory.home("0600000001") == home("0600000001", 100)
    assert home("0600000002", 100) != home("0600000001", 100)
    assert directory.payment_no("0600000003") == "0600000003"
    assert (directory.listed("0600000002"), directory.listed("0600000001"), len(directory)) == ("0600000001", None, 1)
