"""XML over HTTP without HTTP: the bytes of a request in, the bytes of a signed answer out.

Strategy: nothing of a request is believed before its signature is verified, and afterwards only the part that was
signed is used. The order of the checks, each with its refusal:

1. It is XML as we accept it (size, no DOCTYPE, depth).
2. The sender it claims is a bank of ours, at an address where that bank may be.
3. The key it claims is one of that bank's profile, and the signature verifies with it; no key comes from the message.
4. The signed part is a message of this profile.
5. It was not seen before (replay guard); counted only now, so that forgeries use up no nonce.
6. The channel makes an operation of it, the services answer.

Every answer to a known sender is signed with the key of its profile, refusals included. To a sender that we can't tell
the installation's own key answers if there is one; else there is one plain line, with status 400 or 403 in both cases.

What the first three checks refuse was not authenticated; it may be a copy, damaged on purpose, of a message that was
booked. So its refusal leaves the outcome unknown (an `Unknown`, which can't hold a final reason): nobody can hand it to
the bank as our word about a payment.

RSA-2048 takes about 0.3 ms to sign and 0.03 ms to verify; that stays on the loop, because a thread costs as much.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from lxml import etree

from gateway import clock
from gateway.banks.addresses import AllowedPeers
from gateway.banks.profile import BankProfile, BankXmlWire
from gateway.channels import bankxml as channel
from gateway.channels.replay_guard import ReplayGuard
from gateway.keyring import Keyring
from gateway.metrics import Metrics
from gateway.operations import Evidence, Operation
from gateway.outcomes import NotDone, Outcome, Reason, Unknown, not_done
from gateway.servers.exchange import Handle, Refusal, Told, new_trace_id, refusal_of, report_refusal, tell_nobody
from protocols.bankxml import codec
from protocols.bankxml.codec import Claim
from protocols.bankxml.messages import BankXmlMessage, RefusalReply
from protocols.errors import ProtocolError, SignatureError
from protocols.signing import xmldsig
from protocols.signing.keys import SigningKey
from protocols.xml import parse as parse_xml

WIRE = "bankxml"
_STRANGER = "STRANGER"
_log: Any = structlog.get_logger("gateway.servers")


def _nobody_asks(_left: bool, /) -> None:
    """For answers that are not about an operation."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is a signed message, or where `signed` is false one line of text.

    Whoever sends it calls `left`: whether the whole of it was handed to a connection that was still open.
    """

    status: int
    body: bytes = field(repr=False)
    signed: bool = True
    left: Callable[[bool], None] = _nobody_asks


@dataclass(frozen=True, slots=True)
class _Bank:
    profile: BankProfile
    wire: BankXmlWire
    sign_key: SigningKey
    peers: AllowedPeers
    guard: ReplayGuard


@dataclass(frozen=True, slots=True)
class _Arrival:
    """The bytes of a request, when they came, and under which name they are followed."""

    data: bytes = field(repr=False)
    at: datetime
    trace_id: str


class BankXmlExchange:
    """Answers requests of every bank on this wire. Raises KeyringError when made if a key is missing."""

    def __init__(
        self,
        profiles: Sequence[BankProfile],
        keyring: Keyring,
        handle: Handle,
        metrics: Metrics,
        *,
        stranger_key: SigningKey | None = None,
        body_limit_bytes: int = 65_536,
        now: Callable[[], datetime] = clock.now,
        told: Told = tell_nobody,
    ) -> None:
        self._told = told
        self._keyring = keyring
        self._handle = handle
        self._metrics = metrics
        self._body_limit_bytes = body_limit_bytes
        self._now = now
        self._stranger_key = stranger_key
        self._banks = {bank.wire.sender: bank for bank in map(self._bank, profiles)}
        for bank in self._banks.values():
            for key_id in bank.wire.verify_keys:
                keyring.verifying_key(key_id)

    def _bank(self, profile: BankProfile) -> _Bank:
        if not isinstance(profile.wire, BankXmlWire):
            raise TypeError(f"bank {profile.code} is not on this wire")
        return _Bank(
            profile,
            profile.wire,
            self._keyring.signing_key(profile.wire.sign_key),
            AllowedPeers(profile.allowed_addresses),
            ReplayGuard(profile.wire.clock_window_seconds),
        )

    async def answer(self, data: bytes, peer_address: str) -> Answer:
        """The answer to the request `data` from the peer at this IP address."""
        now = self._now()
        trace_id = new_trace_id()
        try:
            root = parse_xml(data, max_bytes=self._body_limit_bytes)
        except ProtocolError as error:
            return self._to_stranger(400, Unknown(Reason.UNREADABLE, str(error)), trace_id, now)
        claim = codec.read_claim(root)
        if claim.sender is None:
            return self._to_stranger(400, Unknown(Reason.UNREADABLE, "/Msg/Hdr/Sndr: no sender"), trace_id, now)
        bank = self._banks.get(claim.sender)
        if bank is None or not bank.peers.allows(peer_address):
            note = "/Msg/Hdr/Sndr: " + ("no bank of this utility" if bank is None else "not from this address")
            return self._to_stranger(403, Unknown(Reason.SIGNATURE_INVALID, note), trace_id, now)
        self._metrics.requests.labels(bank.profile.code, WIRE).inc()
        with structlog.contextvars.bound_contextvars(trace_id=trace_id, bank=bank.profile.code, wire=WIRE):
            return await self._answer_bank(_Arrival(data, now, trace_id), root, claim, bank)

    async def _answer_bank(self, arrival: _Arrival, root: etree._Element, claim: Claim, bank: _Bank) -> Answer:
        """The answer to a request that names a bank of ours: always signed with the key of its profile."""
        try:
            request = self._verified(root, claim, bank)
        except ProtocolError as error:
            return self._refuse(bank, channel.refusal_of(error), claim.message_id, arrival.trace_id)
        evidence = Evidence(arrival.data, request.header.key_id, WIRE, arrival.at, arrival.trace_id)
        operation = self._operation(request, bank, evidence)
        if isinstance(operation, NotDone):
            return self._reply(request, operation, bank, arrival.trace_id)[0]
        outcome = await self._handle(operation, evidence, bank.profile)
        answer, said = self._reply(request, outcome, bank, arrival.trace_id)
        return replace(answer, left=partial(self._told, operation, evidence, said))

    def _verified(self, root: etree._Element, claim: Claim, bank: _Bank) -> BankXmlMessage:
        """The message in the signed part; raises SignatureError before it is verified, any ProtocolError after.

        `root` is used up.
        """
        if claim.key_id is None or claim.key_id not in bank.wire.verify_keys:
            raise SignatureError("/Msg/Hdr/KeyId", "no key of this bank")
        signed = xmldsig.verify(root, self._keyring.verifying_key(claim.key_id))
        message = codec.parse(signed)
        if message.header.key_id != claim.key_id or message.header.sender != claim.sender:
            raise SignatureError("/Msg/Hdr", "the signed header is not the one that was claimed")
        return message

    def _operation(self, request: BankXmlMessage, bank: _Bank, evidence: Evidence) -> Operation | NotDone:
        header = request.header
        reason = bank.guard.check(
            header.sender,
            header.nonce,
            header.sent_at,
            evidence.received_at,
            message_id=header.message_id,
            store_and_forward=header.message_type in channel.STORE_AND_FORWARD,
        )
        if reason is not None:
            return not_done(reason, "/Msg/Hdr/Nonce or SndTm")
        return channel.to_operation(request, bank.profile, evidence.received_at)

    def _reply(self, request: BankXmlMessage, outcome: Outcome, bank: _Bank, trace_id: str) -> tuple[Answer, Outcome]:
        """The signed answer, and what it says: "unknown" where the outcome could not be written."""
        self._report(outcome, trace_id, bank.profile.code, _trace_no(request))
        try:
            reply = codec.build(channel.to_message(request, outcome, bank.profile, self._stamp()))
        except (ProtocolError, TypeError, ValueError) as error:
            # Our fault, after the operation was done: the bank asks again, and is told no refusal.
            _log.error("reply_not_written", exc_info=error)
            outcome = Unknown(Reason.TIMEOUT)
            reply = codec.build(channel.to_message(request, outcome, bank.profile, self._stamp()))
        return Answer(200, xmldsig.sign(reply, bank.sign_key)), outcome

    def _refuse(self, bank: _Bank, outcome: NotDone, message_id: str | None, trace_id: str) -> Answer:
        self._report(outcome, trace_id, bank.profile.code, None)
        message = channel.refusal(outcome, bank.profile, message_id, self._stamp())
        return Answer(200, xmldsig.sign(codec.build(message), bank.sign_key))

    def _to_stranger(self, status: int, outcome: Unknown, trace_id: str, now: datetime) -> Answer:
        """A refusal to somebody we can't tell: never more than that, and what was claimed is not repeated."""
        self._report(outcome, trace_id, "", None)
        if self._stranger_key is None:
            return Answer(status, f"{outcome.reason.english}: {outcome.note}\n".encode(), signed=False)
        profile = _stranger_profile(self._stranger_key.key_id)
        stamp = channel.Stamp(secrets.token_hex(16), secrets.token_hex(16), now)
        message = channel.refusal(outcome, profile, None, stamp)
        return Answer(status, xmldsig.sign(codec.build(message), self._stranger_key))

    def _stamp(self) -> channel.Stamp:
        return channel.Stamp(secrets.token_hex(16), secrets.token_hex(16), self._now())

    def _report(self, outcome: Outcome, trace_id: str, bank: str, trace_no: str | None) -> None:
        refusal = refusal_of(outcome, trace_id, trace_no)
        if refusal is not None:
            report_refusal(refusal, WIRE, bank, self._metrics)

    def report_unread(self, reason: Reason, note: str) -> None:
        """Log and count a request that HTTP refused before it was read."""
        report_refusal(Refusal(reason, note, new_trace_id()), WIRE, "", self._metrics)


def _stranger_profile(sign_key: str) -> BankProfile:
    """A profile for answering nobody in particular: the channel writes messages for profiles only."""
    wire = BankXmlWire(protocol="bankxml", sender=_STRANGER, verify_keys=[sign_key], sign_key=sign_key)
    return BankProfile(code=_STRANGER, name=_STRANGER, name_english=_STRANGER, wire=wire)


def _trace_no(request: BankXmlMessage) -> str | None:
    return None if isinstance(request.body, RefusalReply) else request.body.trace_no
