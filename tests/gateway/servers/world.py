"""A world for the servers: profiles, keys, a ledger that is made up and remembers what it was asked, and the log.

`Played` is everything a test needs: banks' profiles and keys, the fake ledger, the running servers' addresses, and the
log as it would be written, in which no secret may be found.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from gateway.banks.profile import BankProfile
from gateway.keyring import Keyring
from gateway.metrics import Metrics
from gateway.operations import BillEnquiry, Evidence
from gateway.outcomes import Approved, BillsFound, Outcome, Receipt, Undo, UndoResult
from gateway.servers.bankxml_exchange import BankXmlExchange
from gateway.servers.exchange import ServerLimits
from gateway.servers.http import HttpServer
from gateway.servers.iso8583_tcp import Iso8583Server
from gateway.services.handler import Handler, LedgerOperation
from protocols.money import Money

NAME, ADDRESS = "欧阳测试", "榕树镇电力路八号"
ACCOUNT, CUSTOMER = "6222000000000012345", "060000012340"
DAY = date(2026, 3, 3)
BILLS = Approved(DAY, None, None, BillsFound(NAME, ADDRESS, (), Money(0), Money(12345)))
PAID = Approved(DAY, "000000000077", Money(12345), Receipt((), Money(0)))
UNDONE = Approved(DAY, "000000000078", Money(12345), Undo(UndoResult.DONE_SAME_DAY, "000000000077"))


def usual(operation: LedgerOperation) -> Outcome:
    """What a ledger with one bill would say."""
    match type(operation).__name__:
        case "BillEnquiry":
            return BILLS
        case "Payment":
            return PAID
        case "SameDayCancel" | "Reversal":
            return UNDONE
    return Approved(DAY)


class FakeLedger:
    """Asserts nothing itself; `calls` are the operations it was asked for, `gate` holds them while it is closed."""

    def __init__(self) -> None:
        self.calls: list[LedgerOperation] = []
        self.evidence: list[Evidence] = []
        self.finished = 0
        self.answer: Callable[[LedgerOperation], Outcome] = usual
        self.gate = asyncio.Event()
        self.gate.set()
        self.delays: dict[str, float] = {}  # by trace number

    async def submit(self, operation: LedgerOperation, evidence: Evidence, deadline: float | None) -> Outcome:
        self.calls.append(operation)
        self.evidence.append(evidence)
        await asyncio.sleep(self.delays.get(operation.key.trace_no, 0))
        await self.gate.wait()
        self.finished += 1
        return self.answer(operation)

    @property
    def moved(self) -> list[LedgerOperation]:
        """What could have changed the ledger."""
        return [call for call in self.calls if not isinstance(call, BillEnquiry)]


@dataclass
class Played:
    """One test's world."""

    iso_profile: BankProfile
    xml_profile: BankProfile
    keyring: Keyring
    ledger: FakeLedger
    handler: Handler
    metrics: Metrics
    log: io.StringIO
    now: datetime
    exchange: BankXmlExchange
    iso_server: Iso8583Server
    http_server: HttpServer
    ready_problem: list[str] = field(default_factory=list)
    iso_address: tuple[str, int] = ("", 0)
    http_address: str = ""

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The log, parsed; only lines of `event` if given."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]

    def refusals(self) -> list[tuple[str, str]]:
        return [(line["bank"], line["reason"]) for line in self.lines("refused")]

    def assert_no_secret_in_log(self, *more: str) -> None:
        text = self.log.getvalue()
        secret = self.keyring.mac_key("gzb").secret.hex()
        for word in (NAME, ADDRESS, ACCOUNT, CUSTOMER, secret, secret.upper(), *more):
            assert word not in text
        assert all(line["trace_id"] for line in self.lines("refused"))


def iso_profile(**changes: Any) -> BankProfile:
    wire = {
        "protocol": "iso8583-guangzhou",
        "listen": "127.0.0.1:0",
        "institution": "315810",
        "mac_key": "gzb",
        "frame_limit_bytes": 512,
    }
    data = {"code": "GZB", "name": "银行甲", "name_english": "Bank A", "sign_on_required": True}
    wire |= changes.pop("wire", {})
    return BankProfile.model_validate(data | {"wire": wire} | changes)


def xml_profile(**changes: Any) -> BankProfile:
    wire = {"protocol": "bankxml", "sender": "YYB", "verify_keys": ["bank", "bank-next"], "sign_key": "utility"}
    wire |= changes.pop("wire", {})
    data = {"code": "YYB", "name": "银行乙", "name_english": "Bank B"}
    return BankProfile.model_validate(data | {"wire": wire} | changes)


def make(key_folder: Path, stream: io.StringIO, **changes: Any) -> Played:
    """A world that does not run yet; `iso`, `xml`, `limits`, `stranger_key` and `body_limit_bytes` may be changed."""
    iso, xml = changes.get("iso") or iso_profile(), changes.get("xml") or xml_profile()
    keyring, ledger, metrics = Keyring(key_folder), FakeLedger(), Metrics()
    handler = Handler(ledger.submit, metrics)
    now = datetime.now(UTC)
    body_limit = changes.get("body_limit_bytes", 65_536)
    stranger = changes.get("stranger_key")
    exchange = BankXmlExchange(
        [xml],
        keyring,
        handler.handle,
        metrics,
        stranger_key=keyring.signing_key(stranger) if stranger else None,
        body_limit_bytes=body_limit,
        now=lambda: now,
    )
    limits = changes.get("limits") or ServerLimits(8, 0.2)
    iso_server = Iso8583Server(iso, keyring.mac_key("gzb"), handler.handle, metrics, limits, now=lambda: now)
    problem: list[str] = []

    async def ready() -> str | None:
        return problem[0] if problem else None

    http = HttpServer("127.0.0.1:0", exchange, metrics, ready, body_limit_bytes=body_limit, body_seconds=0.3)
    return Played(
        iso, xml, keyring, ledger, handler, metrics, stream, now, exchange, iso_server, http, ready_problem=problem
    )
