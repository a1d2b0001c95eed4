"""`busbar.toml` as checked data: the utility, its database, ledger, HTTP, limits, penalty rules and night.

Strategy: pydantic models, frozen, unknown keys forbidden, every default written here once with its reason. What the
law or the trade fixes by date (penalty rates, the one-yuan minimum) is a dated list, so that a change is a new row and
yesterday's bills keep yesterday's rule. Rates are integers: millionths of the principal a day, 1000 = 1‰.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.banks.profile import KeyId, ListenAddress, Strict, TimeZoneName
from gateway.ledger.rules import CrossYearMode, DepositWithArrears, PenaltyMinimum, PenaltyRates, Rounding, Rules

EMBEDDED = "embedded"
_DSN = re.compile(r"postgres(?:ql)?://(?:[^/?#@]*@)?[^/?#]*/[A-Za-z_][A-Za-z0-9_]*(?:\?.*)?\Z")
_DSN_PASSWORD = re.compile(r"//[^/?#@]*:[^/?#@]*@|[?&]password=")
_REFERENCE = re.compile(r"(?:file:[^\0\n]+|env:[A-Za-z_][A-Za-z0-9_]*)\Z")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FOLDER = re.compile(r"[^\0\n]+\Z")


def _dsn(text: str) -> str:
    if text == EMBEDDED:
        return text
    if _DSN_PASSWORD.search(text):
        raise ValueError("a password may not stand here; refer to it with gateway_password and night_password")
    if not _DSN.match(text):
        raise ValueError('neither "embedded" nor "postgresql://host:port/database"')
    return text


def _reference(text: str) -> str:
    if not _REFERENCE.match(text):
        raise ValueError('a secret is referred to: "file:PATH" or "env:NAME"')
    return text


def _folder(text: str) -> str:
    if not _FOLDER.match(text):
        raise ValueError("a folder's path is needed, relative to the installation or absolute")
    return text


def _event_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or not text.isascii():
        raise ValueError('not an address such as "https://events.internal/payments"')
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("user, password and #fragment may not stand here; the receiver checks our signature")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError("customers' numbers go over https; http only to this machine (127.0.0.1, ::1, localhost)")
    return text


SecretReference = Annotated[str, AfterValidator(_reference)]
Folder = Annotated[str, AfterValidator(_folder)]
PersonalName = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Utility(Strict):
    """Who collects: printed on reports, and the zone of its calendar."""

    name: PersonalName
    name_english: PersonalName
    time_zone: TimeZoneName = "Asia/Shanghai"


class Database(Strict):
    """Where the ledger lives: our own embedded server, or a DSN without user and password."""

    dsn: Annotated[str, AfterValidator(_dsn)] = EMBEDDED
    name: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = Field(
        default="busbar", description="the database on the embedded server"
    )
    gateway_password: SecretReference = "file:var/passwords/gateway"  # noqa: S105 - a reference, not a password
    night_password: SecretReference = "file:var/passwords/night"  # noqa: S105
    admin_dsn: SecretReference = Field(
        default="env:BUSBAR_ADMIN_DSN", description="a superuser's DSN, needed by `busbar db` only"
    )

    @property
    def is_embedded(self) -> bool:
        return self.dsn == EMBEDDED


class LedgerSettings(Strict):
    """The partition count is fixed when the database is initialised; a gateway configured otherwise won't start."""

    partitions: int = Field(default=4, ge=1, le=100)


class Http(Strict):
    """XML over HTTP, health and metrics."""

    listen: ListenAddress = "127.0.0.1:8480"
    sign_key: KeyId | None = Field(default=None, description="signs refusals to senders that we can't tell")
    body_limit_bytes: int = Field(default=65_536, ge=1_024, le=1_048_576)  # a request is about 4 KB


class Limits(Strict):
    """What one peer, and all together, may take."""

    connections_per_bank: int = Field(default=64, ge=1, le=10_000)  # a bank's front end keeps a handful
    slow_reader_seconds: float = Field(default=10, gt=0, le=600)  # a peer that does not read its answers is dropped
    stop_seconds: float = Field(default=25, gt=0, le=600)  # above every bank's answer_deadline_seconds


class PenaltyRatesRow(Strict):
    """Rates from a day on, in millionths of the principal a day (供电营业规则 98: 1‰, 2‰, 3‰)."""

    from_date: date
    residential_millionths_per_day: int = Field(default=1000, ge=0, le=100_000)
    other_current_year_millionths_per_day: int = Field(default=2000, ge=0, le=100_000)
    other_prior_year_millionths_per_day: int = Field(default=3000, ge=0, le=100_000)


class PenaltyMinimumRow(Strict):
    """The least penalty of a bill that became overdue while the row was in force (供电营业规则 98: one yuan)."""

    from_date: date
    to_date: date | None = None
    minimum_fen: int = Field(ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _in_order(self) -> PenaltyMinimumRow:
        if self.to_date is not None and self.to_date < self.from_date:
            raise ValueError("to_date is before from_date")
        return self


class Penalty(Strict):
    """How penalties (违约金) are computed."""

    cross_year_mode: Literal["by_day", "whole_bill"] = "by_day"
    rounding: Literal["half_up", "truncate"] = "half_up"
    cap_at_principal: bool = True
    rates: list[PenaltyRatesRow] = Field(min_length=1)
    minimum: list[PenaltyMinimumRow] = Field(default_factory=list)


class Prepayment(Strict):
    """Whether money above the arrears is kept as prepayment (预存); what a deposit does while arrears exist."""

    enabled: bool = True
    deposit_with_arrears: Literal["refuse", "apply_first"] = "refuse"


class Night(Strict):
    """Folders of the night's run."""

    inbox: Folder = "inbox"
    work: Folder = "var/night"
    reports: Folder = "var/reports"


class EventSubscriber(Strict):
    """One receiver of payment events. Its name is its cursor's: under a new name it begins anew."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    url: Annotated[str, AfterValidator(_event_url)]
    sign_key: KeyId = Field(description="an RSA key of ours")
    ca_file: Folder | None = Field(default=None, description="PEM of who vouches for the receiver; none: the system's")
    batch_events: int = Field(default=100, ge=1, le=1_000)  # an event is about 600 bytes
    timeout_seconds: float = Field(default=5, gt=0, le=60)
    give_up_after_seconds: int = Field(default=86_400, ge=1, le=30 * 86_400)  # then it is a dead letter


class BusbarFile(Strict):
    """The whole of busbar.toml."""

    utility: Utility
    database: Database = Database()
    ledger: LedgerSettings = LedgerSettings()
    http: Http = Http()
    limits: Limits = Limits()
    penalty: Penalty
    prepayment: Prepayment = Prepayment()
    night: Night = Night()
    events: list[EventSubscriber] = Field(default_factory=list)

    def rules(self, sign_on_required: frozenset[str]) -> Rules:
        """The ledger's rules; `sign_on_required` are the codes of the banks that must sign on."""
        return Rules(
            rates=tuple(_rates(row) for row in self.penalty.rates),
            minimums=tuple(PenaltyMinimum(row.from_date, row.to_date, row.minimum_fen) for row in self.penalty.minimum),
            cross_year_mode=CrossYearMode[self.penalty.cross_year_mode.upper()],
            rounding=Rounding[self.penalty.rounding.upper()],
            cap_at_principal=self.penalty.cap_at_principal,
            prepayment_enabled=self.prepayment.enabled,
            deposit_with_arrears=DepositWithArrears[self.prepayment.deposit_with_arrears.upper()],
            sign_on_required=sign_on_required,
        )


def _rates(row: PenaltyRatesRow) -> PenaltyRates:
    return PenaltyRates(
        row.from_date,
        row.residential_millionths_per_day,
        row.other_current_year_millionths_per_day,
        row.other_prior_year_millionths_per_day,
    )


MODELS = (
    BusbarFile,
    Utility,
    Database,
    LedgerSettings,
    Http,
    Limits,
    PenaltyRatesRow,
    PenaltyMinimumRow,
    Penalty,
    Prepayment,
    Night,
    EventSubscriber,
)
