"""Evidence: which requests are kept, and that what is kept comes back byte for byte."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.evidence import MAX_REQUEST_BYTES, moves_money, pack, unpack
from gateway.operations import ALL_BILLS, BillEnquiry, Echo, Operation, OperationKind, SignOff, SignOn

from .installations import PAID_AT, cancel, key, of_trace, payment, reversal, status


@pytest.mark.parametrize(
    ("operation", "kept"),
    [
        (payment("T1", "1"), True),
        (cancel("C1", "1", of_trace("T1")), True),
        (reversal("U1", "1", of_trace("T1")), True),
        (status("S1", "1", of_trace("T1"), fence=True), True),
        (status("S1", "1", of_trace("T1")), False),
        (BillEnquiry(key(OperationKind.BILL_ENQUIRY, "Q1"), "1", ALL_BILLS, PAID_AT), False),
        (SignOn(key(OperationKind.SIGN_ON, "1")), False),
        (SignOff(key(OperationKind.SIGN_OFF, "1")), False),
        (Echo(key(OperationKind.ECHO, "1")), False),
    ],
)
def test_what_moves_money(operation: Operation, kept: bool) -> None:
    assert moves_money(operation) is kept


@given(st.binary(max_size=4096))
def test_what_is_kept_comes_back(request_bytes: bytes) -> None:
    assert unpack(pack(request_bytes)) == request_bytes


@pytest.mark.parametrize(
    ("stored", "what"),
    [
        (b"not deflated", "can't be unpacked"),
        (b"", "cut off"),
        (pack(b"<request/>" * 10)[:-3], "cut off"),
        (zlib.compress(bytes(MAX_REQUEST_BYTES + 1)), "larger than"),
    ],
)
def test_what_is_no_evidence(stored: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        unpack(stored)
