"""A signed XML request answered, against the least that any implementation must do.

Strategy: ours is what the gateway does between the bytes of a payment request and the bytes of its signed reply, ledger
and HTTP left out: parse safely, check the signature's shape, verify, read the message from the signed part, build the
reply, sign it. The floor takes trees that were parsed and built beforehand and does only the exclusive C14N of document
and SignedInfo, SHA-256, and RSA-2048 (one verification, one signature) with the same libraries underneath. It is not
reachable; how far above it we are is what our checks, our message values and the signature library cost.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from benchmarks.harness import (
    BenchmarkError,
    Contestant,
    Effort,
    Sample,
    Series,
    Spread,
    Watch,
    race,
    spread_of,
    timed,
    turns,
)
from benchmarks.results import Better, Result, microseconds, ratio
from protocols.bankxml import codec
from protocols.bankxml.messages import (
    BankXmlMessage,
    Bills,
    Header,
    PaymentReply,
    PaymentRequest,
    SettledLine,
)
from protocols.bankxml.messages import Result as ReplyResult
from protocols.money import Money
from protocols.signing import xmldsig
from protocols.signing.keys import RSA_EXPONENT, SigningKey
from protocols.xml import parse as parse_xml

_DAY = date(2024, 4, 5)
_AT = datetime(2024, 4, 5, 3, 28, 54, tzinfo=UTC)
_MESSAGES = 16
_SIGNATURE = f"{{{xmldsig.NAMESPACE}}}Signature"


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request as it arrives and the reply to it; and the same as the floor wants it."""

    request: bytes
    reply: BankXmlMessage
    floor: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Keys:
    bank: rsa.RSAPrivateKey
    utility: rsa.RSAPrivateKey


def measure(effort: Effort, watch: Watch) -> Result:
    keys = _Keys(_new_key(), _new_key())
    exchanges = [_exchange(number, keys) for number in range(_MESSAGES)]
    _check(exchanges[0], keys)
    rounds, repeats = effort.choose(15, 2), effort.choose(10, 1)
    contestants = _contestants(exchanges, keys, repeats)
    watch.expect(turns(len(contestants), rounds))
    return _result(race(contestants, rounds, watch))


def _result(series: dict[str, Series]) -> Result:
    read, write = series["verify and parse"], series["build and sign"]
    ours = [one.microseconds_per_unit + two.microseconds_per_unit for one, two in _pairs(read, write)]
    floor = [sample.microseconds_per_unit for sample in series["floor"].samples]
    above: Spread = spread_of(mine / least for mine, least in zip(ours, floor, strict=True))
    figure = ratio("xml.vs_floor", above, "our time ÷ the floor's", "耗时与理论下限之比", Better.LOWER)
    facts = (
        microseconds("verify and parse", read, "request: bytes to message, verified", "请求：解析、验签、取值"),
        microseconds("build and sign", write, "reply: message to signed bytes", "应答：组报文、签名"),
        microseconds(
            "floor", series["floor"], "C14N, SHA-256, one RSA verify, one RSA sign", "规范化、摘要、验签、签名"
        ),
        microseconds("floor RSA", series["floor RSA"], "of the floor: RSA alone", "其中 RSA"),
    )
    return Result("xml", (figure,), facts, tuple(series.values()), _limit(ours, series))


def _limit(ours: list[float], series: dict[str, Series]) -> str:
    share = series["floor RSA"].microseconds.median / spread_of(ours).median
    return f"one processor; RSA is {share:.0%} of an exchange, the rest is trees, canonical forms and our checks"


def _pairs(one: Series, two: Series) -> Iterator[tuple[Sample, Sample]]:
    return zip(one.samples, two.samples, strict=True)


def _contestants(exchanges: list[_Exchange], keys: _Keys, repeats: int) -> list[Contestant]:
    verifying, signing = SigningKey("bank", keys.bank).verifying(), SigningKey("utility", keys.utility)
    public, nothing = keys.bank.public_key(), b""
    signature = keys.bank.sign(nothing, padding.PKCS1v15(), hashes.SHA256())

    def read(one: _Exchange) -> None:
        codec.parse(xmldsig.verify(parse_xml(one.request), verifying))

    def write(one: _Exchange) -> None:
        xmldsig.sign(codec.build(one.reply), signing)

    def bare_rsa(_one: _Exchange) -> None:
        public.verify(signature, nothing, padding.PKCS1v15(), hashes.SHA256())
        keys.utility.sign(nothing, padding.PKCS1v15(), hashes.SHA256())

    works: dict[str, Callable[[_Exchange], None]] = {
        "verify and parse": read,
        "build and sign": write,
        "floor": lambda one: one.floor(),
        "floor RSA": bare_rsa,
    }
    return [Contestant(name, timed(_over(work, exchanges, repeats))) for name, work in works.items()]


def _over(work: Callable[[_Exchange], None], exchanges: list[_Exchange], repeats: int) -> Callable[[], int]:
    def turn() -> int:
        for _ in range(repeats):
            for one in exchanges:
                work(one)
        return repeats * len(exchanges)

    return turn


def _check(one: _Exchange, keys: _Keys) -> None:
    """The signatures that are raced must be right ones; the floor checks its own."""
    one.floor()
    utility = SigningKey("utility", keys.utility)
    reply = xmldsig.sign(codec.build(one.reply), utility)
    if codec.parse(xmldsig.verify(parse_xml(reply), utility.verifying())) != one.reply:
        raise BenchmarkError("a signed reply does not come back as it was: run the tests of protocols/bankxml")


def _exchange(number: int, keys: _Keys) -> _Exchange:
    request, reply = _request(number), _reply(number)
    signed_request = xmldsig.sign(codec.build(request), SigningKey("bank", keys.bank))
    signed_reply = xmldsig.sign(codec.build(reply), SigningKey("utility", keys.utility))
    return _Exchange(signed_request, reply, _floor(signed_request, signed_reply, keys))


def _floor(request: bytes, reply: bytes, keys: _Keys) -> Callable[[], None]:
    document, signed_info, digest, signature = _taken_apart(request)
    reply_document, reply_info, _, _ = _taken_apart(reply)
    public, private = keys.bank.public_key(), keys.utility
    pkcs, sha256 = padding.PKCS1v15(), hashes.SHA256()

    def floor() -> None:
        if hashlib.sha256(_c14n(document)).digest() != digest:
            raise BenchmarkError("the floor's digest is wrong")
        public.verify(signature, _c14n(signed_info), pkcs, sha256)
        hashlib.sha256(_c14n(reply_document)).digest()
        private.sign(_c14n(reply_info), pkcs, sha256)

    return floor


def _taken_apart(signed: bytes) -> tuple[etree._Element, etree._Element, bytes, bytes]:
    """The document without its signature, SignedInfo, the digest and the signature's value."""
    root = parse_xml(signed)
    signature = root[-1]
    if signature.tag != _SIGNATURE:
        raise BenchmarkError("the signature is not the last child of the document")
    signed_info = deepcopy(signature[0])
    digest, value = b64decode(signature[0][2][2].text or ""), b64decode(signature[1].text or "")
    root.remove(signature)
    return root, signed_info, digest, value


def _c14n(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(RSA_EXPONENT, 2048)


def _request(number: int) -> BankXmlMessage:
    body = PaymentRequest(
        _DAY,
        f"{number:012d}",
        f"03010000{number:08d}",
        Bills(receivable_ids=(f"20240200{number:08d}",)),
        Money(12_345 + number),
        _AT,
        "MOBILE_BANK",
        "TRANSFER",
        "440106000012",
        "T0231",
    )
    return BankXmlMessage(_header(number), body)


def _reply(number: int) -> BankXmlMessage:
    header = replace(
        _header(number),
        message_type="payment.rsp",
        sender="UTILITY",
        receiver="BANK0002",
        message_id=f"U{number:08d}",
        original_message_id=f"B{number:08d}",
        clearing_date=_DAY,
        key_id="utility",
    )
    body = PaymentReply(
        _DAY,
        f"{number:012d}",
        f"03010000{number:08d}",
        ReplyResult("success", "00", "success", "成功"),
        f"01{number:010d}",
        Money(12_345 + number),
        1,
        (SettledLine(f"20240200{number:08d}", 202402, Money(12_000 + number), Money(345)),),
        Money(0),
    )
    return BankXmlMessage(header, body)


def _header(number: int) -> Header:
    nonce = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    return Header("1", "payment.req", "BANK0002", "UTILITY", f"B{number:08d}", None, _AT, None, "bank", nonce)
