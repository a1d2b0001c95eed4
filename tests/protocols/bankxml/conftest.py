"""Example messages, one of every type, and the page's key, shared by the tests of this folder.

The page shows signed samples that must never change by themselves, and no private key may lie in the repository. So
the key is computed: RSA-2048 from two primes that are searched upwards from SHA-512 of a seed. RSA with PKCS#1 v1.5 is
deterministic, and so are the samples. Whoever reads this can compute the key: it protects nothing and proves only the
page.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.bankxml import messages as m
from protocols.money import Money
from protocols.signing.keys import SigningKey

BEIJING = timezone(timedelta(hours=8))
_EXPONENT = 65537
_SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


def _is_prime(candidate: int) -> bool:
    """Trial division, then Miller-Rabin with 24 fixed bases: these candidates aren't chosen by an adversary."""
    if any(candidate % prime == 0 for prime in _SMALL_PRIMES):
        return False
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _SMALL_PRIMES[:24]:
        x = pow(base, odd, candidate)
        if x in (1, candidate - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % candidate
            if x == candidate - 1:
                break
        else:
            return False
    return True


def _prime(seed: str) -> int:
    digest = b"".join(hashlib.sha512(f"{seed} {part}".encode()).digest() for part in range(2))
    candidate = int.from_bytes(digest, "big") | (3 << 1022) | 1
    while not (_is_prime(candidate) and (candidate - 1) % _EXPONENT):
        candidate += 2
    return candidate


def derived_key(key_id: str) -> SigningKey:
    """The RSA-2048 key that belongs to a name; always the same."""
    p, q = _prime(f"busbar wire page {key_id} p"), _prime(f"busbar wire page {key_id} q")
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(_EXPONENT, p * q)
    )
    return SigningKey(key_id, numbers.private_key())


def header(message_type: str, number: int) -> m.Header:
    reply = message_type.endswith(".rsp")
    refused = message_type == "refusal.rsp"
    return m.Header(
        version="1",
        message_type=message_type,
        sender="UTILITY" if reply else "BANK0002",
        receiver="BANK0002" if reply else "UTILITY",
        message_id=f"U20240405-{number:06d}" if reply else f"B20240405-{number:06d}",
        original_message_id=f"B20240405-{number:06d}" if reply else None,
        sent_at=datetime(2024, 4, 5, 11, 28, 54 + reply, 123000, tzinfo=BEIJING),
        clearing_date=date(2024, 4, 5) if reply and not refused else None,
        key_id="utility-2024" if reply else "bank0002-2024",
        nonce=hashlib.sha256(f"{message_type} {number}".encode()).hexdigest()[:32],
    )


_OK = m.Result("success", "00", "success", "成功")
_TRACE = (date(2024, 4, 5), "000000012345", "0301000012345678")
_ORIGINAL = m.Original(date(2024, 4, 5), "000000012345", "240405000017")
_UNDONE = ("240405000031", Money(12345), "DONE_SAME_DAY", "240405000017")

BODIES: dict[str, m.Body] = {
    "bill.enquiry.req": m.BillEnquiryRequest(date(2024, 4, 5), "000000012344", _TRACE[2], m.Bills(all_bills=True)),
    "bill.enquiry.rsp": m.BillEnquiryReply(
        date(2024, 4, 5),
        "000000012344",
        _TRACE[2],
        _OK,
        "陈嘉怡",
        "广州市天河区体育西路1号",
        2,
        (
            m.BillLine(
                "2024020000000001", 202402, Money(12000), Money(345), Money(12345), date(2024, 3, 20), False, False
            ),
            m.BillLine("2024030000000001", 202403, Money(9876), Money(0), Money(9876), date(2024, 4, 20), True, False),
        ),
        Money(1000),
        Money(21221),
    ),
    "payment.req": m.PaymentRequest(
        *_TRACE,
        m.Bills(receivable_ids=("2024020000000001",)),
        Money(12345),
        datetime(2024, 4, 5, 11, 28, 50, tzinfo=BEIJING),
        "MOBILE_BANK",
        "TRANSFER",
        "440106000012",
        "T0231",
    ),
    "payment.rsp": m.PaymentReply(
        *_TRACE,
        _OK,
        "240405000017",
        Money(12345),
        1,
        (m.SettledLine("2024020000000001", 202402, Money(12000), Money(345)),),
        Money(0),
    ),
    "deposit.req": m.DepositRequest(
        _TRACE[0],
        "000000012349",
        _TRACE[2],
        Money(20000),
        datetime(2024, 4, 5, 11, 28, 50, tzinfo=BEIJING),
        "BANK_COUNTER",
        "CHEQUE",
        "440106000012",
        "T0231",
    ),
    "deposit.rsp": m.PaymentReply(
        _TRACE[0], "000000012349", _TRACE[2], _OK, "240405000018", Money(20000), 0, (), Money(20000)
    ),
    "cancel.req": m.UndoRequest(_TRACE[0], "000000012346", _TRACE[2], _ORIGINAL, Money(12345)),
    "cancel.rsp": m.UndoReply(_TRACE[0], "000000012346", _TRACE[2], _OK, *_UNDONE),
    "reversal.req": m.UndoRequest(
        _TRACE[0], "000000012347", _TRACE[2], replace(_ORIGINAL, reference_no=None), Money(12345)
    ),
    "reversal.rsp": m.UndoReply(_TRACE[0], "000000012347", _TRACE[2], _OK, undo_result="NOTHING_TO_UNDO"),
    "status.enquiry.req": m.StatusEnquiryRequest(
        _TRACE[0], "000000012348", _TRACE[2], replace(_ORIGINAL, reference_no=None), True
    ),
    "status.enquiry.rsp": m.StatusEnquiryReply(
        _TRACE[0],
        "000000012348",
        _TRACE[2],
        _OK,
        m.PaymentStatus("BOOKED", "240405000017", date(2024, 4, 5), Money(12345)),
    ),
    "refusal.rsp": m.RefusalReply(
        m.Result(
            "final_refusal",
            "0a",
            "message format error",
            "报文格式错",
            "/Msg/Body/Amt: an amount of zero is not allowed",
        )
    ),
}
NUMBERS = {name[:-4]: number for number, name in enumerate((n for n in BODIES if n.endswith(".req")), 1)}


def example(message_type: str) -> m.BankXmlMessage:
    number = NUMBERS.get(message_type[:-4], len(NUMBERS) + 1)
    return m.BankXmlMessage(header(message_type, number), BODIES[message_type])


@pytest.fixture(scope="session")
def examples() -> dict[str, m.BankXmlMessage]:
    """One complete message of every type."""
    return {name: example(name) for name in BODIES}


@pytest.fixture(scope="session")
def bank_key() -> SigningKey:
    return derived_key("bank0002-2024")


@pytest.fixture(scope="session")
def utility_key() -> SigningKey:
    return derived_key("utility-2024")
