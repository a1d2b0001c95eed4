"""One ISO 8583 connection as a machine without I/O: bytes in, actions out.

Strategy: `receive(bytes, now)` cuts frames, checks each one and says what is to be done: `Submit` an operation, `Reply`
at once, `Close`. `answer(request_id, outcome, now)` makes the reply of a submitted operation; answers may come in any
order, each goes to its own request. The caller owns sockets, tasks and time. The order of the checks:

1. Frame. Once the stream can't be cut any more the next frame can't be found: refuse what can be told, then close.
2. Message. Garbage inside a good frame is refused (what could be read is returned) and the line stays up.
3. MAC, before any business field is looked at. A wrong one is refused with a MAC of ours, consumes no trace number
   and is counted; after `mac_failures_before_sign_on` of them this connection needs a new sign-on. Only a bank with
   the key can sign on, and only this connection is stopped, so that a stranger can't lock the bank out.
4. Content, by the channel. Reversals and line tests are accepted in any session state.

Every reply carries a MAC, refusals included. What the first three checks refuse was not authenticated; it may be a
copy, damaged on purpose, of a message that was booked. So its refusal leaves the outcome unknown: it is sealed and
returns the trace, and whoever keeps it must not be able to hand it to the bank as our word about that trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from gateway.banks.profile import BankProfile, Iso8583Wire
from gateway.channels.guangzhou_codes import CODE_OF
from gateway.channels.iso8583_guangzhou import mac_is_required, to_message, to_operation
from gateway.keyring import MacKey
from gateway.operations import Echo, Evidence, Operation, Reversal, SignOn
from gateway.outcomes import Approved, Declined, NotDone, Outcome, Reason, Unknown
from gateway.servers.exchange import Refusal, refusal_of
from protocols.errors import FramingError, ProtocolError, SignatureError
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode_partly
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_replies import refusal_for
from protocols.iso8583.framing import ASCII_4, FrameReader, NeedData, encode_frame
from protocols.signing.macs import MacAlgorithm

WIRE = "iso8583-guangzhou"
_TRACE_FIELD = 11
_ALWAYS_ACCEPTED = (SignOn, Echo, Reversal)
_log: Any = structlog.get_logger("gateway.servers")


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand `operation` to the services and give the outcome to `answer` under `request_id`."""

    request_id: int
    operation: Operation
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Reply:
    """Send `frame` (None: the message can't be answered); `refusal` is to be logged.

    `outcome` is what the frame says of a submitted operation: "unknown" where its real outcome could not be written.
    """

    frame: bytes | None = field(repr=False)
    refusal: Refusal | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Read nothing more; close when the answers in flight are out. `why` is None for an orderly end."""

    why: str | None


Action = Submit | Reply | Close


@dataclass(frozen=True, slots=True)
class _Pending:
    request: Message
    operation: Operation
    trace_id: str


class Iso8583Session:
    """The machine for one connection of the bank `profile`, whose wire must be ISO 8583."""

    def __init__(self, profile: BankProfile, key: MacKey, new_trace_id: Callable[[], str]) -> None:
        if not isinstance(profile.wire, Iso8583Wire):
            raise TypeError(f"bank {profile.code} is not on this wire")
        self._profile = profile
        self._wire = profile.wire
        self._algorithm = MacAlgorithm(profile.wire.mac_algorithm)
        self._key = key
        self._new_trace_id = new_trace_id
        self._framing = replace(ASCII_4, maximum_bytes=profile.wire.frame_limit_bytes)
        self._reader = FrameReader(self._framing)
        self._unframed = bytearray()  # what the reader holds: needed once, for refusing a broken frame
        self._pending: dict[int, _Pending] = {}
        self._last_request_id = 0
        self._mac_failures = 0
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Requests submitted and not yet answered."""
        return len(self._pending)

    @property
    def needs_sign_on(self) -> bool:
        """Whether too many wrong MACs came on this connection since its last sign-on."""
        return self._mac_failures >= self._wire.mac_failures_before_sign_on

    def receive(self, data: bytes, now: datetime) -> list[Action]:
        """What to do about bytes as they arrived, in pieces of any size; `now` is aware."""
        if self._closed:
            return []
        self._reader.receive_data(data)
        self._unframed += data
        actions: list[Action] = []
        while True:
            try:
                frame = self._reader.next_frame()
            except FramingError as error:
                return [*actions, *self._framing_lost(error)]
            if isinstance(frame, NeedData):
                return actions
            del self._unframed[: self._framing.header_bytes + len(frame)]
            actions.append(self._message(frame, now))

    def end(self) -> list[Action]:
        """What to do when the peer has closed its side."""
        if self._closed:
            return []
        self._closed = True
        try:
            self._reader.receive_end()
        except FramingError as error:
            return [self._unanswerable(error), Close("the peer closed inside a frame")]
        return [Close(None)]

    def answer(self, request_id: int, outcome: Outcome, now: datetime) -> Reply:
        """The reply to a submitted operation; raises KeyError where it was answered already."""
        pending = self._pending.pop(request_id)
        if isinstance(pending.operation, SignOn) and isinstance(outcome, Approved):
            self._mac_failures = 0
        refusal = refusal_of(outcome, pending.trace_id, pending.operation.key.trace_no)
        frame, said = self._sealed_reply(pending.request, outcome, now)
        return Reply(frame, refusal, said)

    def _message(self, data: bytes, now: datetime) -> Action:
        trace_id = self._new_trace_id()
        message, error = decode_partly(data, GUANGZHOU)
        if error is not None or message is None:
            return self._undecodable(data, error, message, trace_id)
        try:
            self._check_mac(data, message)
        except SignatureError as wrong:
            self._mac_failures += 1
            return self._refuse(message, Unknown(Reason.SIGNATURE_INVALID, str(wrong)), trace_id, now)
        operation = to_operation(message, self._profile, now)
        if isinstance(operation, Declined):
            return self._refuse(message, operation, trace_id, now)
        if self.needs_sign_on and not isinstance(operation, _ALWAYS_ACCEPTED):
            # Not "nothing booked": an earlier copy of this very message may be, and the ledger was not asked.
            untrusted = Unknown(Reason.SIGNATURE_INVALID, "too many wrong MACs on this connection: sign on again")
            return self._refuse(message, untrusted, trace_id, now)
        self._last_request_id += 1
        self._pending[self._last_request_id] = _Pending(message, operation, trace_id)
        evidence = Evidence(data, self._wire.mac_key, WIRE, now, trace_id)
        return Submit(self._last_request_id, operation, evidence)

    def _check_mac(self, data: bytes, message: Message) -> None:
        """Raises SignatureError. A MAC that is there is checked even where the profile asks for none."""
        if mac_is_required(message, self._profile) or message.get(GUANGZHOU.mac_field or 0) is not None:
            mac_field.check(data, message, GUANGZHOU, self._algorithm, self._key.secret)

    def _refuse(self, message: Message, outcome: NotDone, trace_id: str, now: datetime) -> Reply:
        refusal = Refusal(outcome.reason, outcome.note, trace_id, message.get(_TRACE_FIELD))
        return Reply(self._sealed_reply(message, outcome, now)[0], refusal)

    def _undecodable(self, data: bytes, error: ProtocolError | None, message: Message | None, trace_id: str) -> Reply:
        note = "" if error is None else str(error)
        trace_no = None if message is None else message.get(_TRACE_FIELD)
        return Reply(self._sealed_refusal(data), Refusal(Reason.UNREADABLE, note, trace_id, trace_no))

    def _framing_lost(self, error: FramingError) -> list[Action]:
        self._closed = True
        refusal = Refusal(Reason.UNREADABLE, str(error), self._new_trace_id())
        body = bytes(self._unframed[self._framing.header_bytes :][: self._framing.maximum_bytes])
        self._unframed.clear()
        return [Reply(self._sealed_refusal(body), refusal), Close("framing is lost")]

    def _unanswerable(self, error: FramingError) -> Reply:
        return Reply(None, Refusal(Reason.UNREADABLE, str(error), self._new_trace_id()))

    def _sealed_refusal(self, data: bytes) -> bytes | None:
        """A refusal to bytes that are no message; None where not even its type can be told."""
        message = refusal_for(data, CODE_OF[Reason.UNREADABLE])
        return None if message is None else self._seal(message)

    def _sealed_reply(self, request: Message, outcome: Outcome, now: datetime) -> tuple[bytes | None, Outcome]:
        """The reply as a frame, and what it says; no frame where a message of this type has no reply.

        A reply that can't be written is our fault. The operation is done all the same, so that the bank is told
        "unknown" and asks again; it must never be told a refusal.
        """
        try:
            return self._seal(to_message(request, outcome, self._profile, now)), outcome
        except (ProtocolError, TypeError, ValueError) as error:
            if isinstance(outcome, NotDone):
                return None, outcome
            _log.error("reply_not_written", wire=WIRE, bank=self._profile.code, exc_info=error)
            unknown = Unknown(Reason.TIMEOUT)
            return self._seal(to_message(request, unknown, self._profile, now)), unknown

    def _seal(self, message: Message) -> bytes:
        return encode_frame(mac_field.seal(message, GUANGZHOU, self._algorithm, self._key.secret), self._framing)
