"""A bank's profile: everything that makes one bank differ from another, as checked data.

Strategy: pydantic models read from `banks/*.toml`; unknown keys are mistakes. Keys are named by id and held by the
keyring, never written here. Adding a bank is a new file; no code knows a bank by name.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MacAlgorithmName = Literal[
    "X9.9", "X9.19", "X9.19-PAD2", "UNIONPAY-XOR", "SM4-XOR", "SM4-CBC-MAC", "AES-CMAC", "SM4-CMAC"
]
_ADDRESS = re.compile(r"\[?[0-9A-Za-z.:_-]+\]?:[0-9]{1,5}\Z")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("not a time zone of the tz database, for example Asia/Shanghai") from None
    return name


def _address(text: str) -> str:
    if not _ADDRESS.match(text) or int(text.rpartition(":")[2]) > 65535:
        raise ValueError('not "host:port", for example "0.0.0.0:8583"; port 0 takes any free one')
    return text


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
ListenAddress = Annotated[str, AfterValidator(_address)]
KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
InstitutionCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,11}$")]


class Strict(BaseModel):
    """Base of every configuration model: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Iso8583Wire(Strict):
    """ISO 8583 over TCP: one listening port a bank, so that the dialect is known before the first byte."""

    protocol: Literal["iso8583-guangzhou"]
    listen: ListenAddress
    institution: InstitutionCode = Field(description="field 32 and 33 of the bank's messages")
    utility_institution: InstitutionCode = Field(default="333333", description="field 100 of requests")
    mac_algorithm: MacAlgorithmName = "X9.19"
    mac_key: KeyId
    mac_on_enquiry: bool = True
    mac_failures_before_sign_on: int = Field(default=3, ge=1, le=100)
    frame_limit_bytes: int = Field(default=2048, ge=128, le=9999)
    idle_timeout_seconds: float = Field(default=300, gt=0)


class BankXmlWire(Strict):
    """XML over HTTP at POST /bankxml: the sender is named in the header and proved by the signature."""

    protocol: Literal["bankxml"]
    sender: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,20}$")]
    receiver: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,20}$")] = Field(
        default="UTILITY", description="our own code: Rcvr of requests, Sndr of replies"
    )
    verify_keys: list[KeyId] = Field(min_length=1, description="the bank's public keys; several while one rolls over")
    sign_key: KeyId
    clock_window_seconds: int = Field(default=300, ge=1, le=86400)


class SettlementRules(Strict):
    """How the bank's settlement file looks, and what proves it."""

    layout: Literal["pipe", "bil"]
    bank_in_file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,20}$")]
    utility_in_file: str = "GDELEC"
    charset: Literal["UTF-8", "GBK", "GB18030"] = "GBK"
    amounts: Literal["yuan", "fen"] = "yuan"
    digest: Literal["SHA-256", "SM3", "MD5"] = "SHA-256"
    verify_key: KeyId | None = Field(default=None, description="public key of the .sig; none: digest only")


class BankProfile(Strict):
    """One bank. `code` is the name by which ledger, files and reports know it."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,20}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    name_english: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    time_zone: TimeZoneName = "Asia/Shanghai"
    sign_on_required: bool = False
    paid_at_tolerance_hours: int = Field(default=36, ge=1, le=24 * 31)
    answer_deadline_seconds: float = Field(default=20, gt=0, le=120)
    in_flight_limit: int = Field(default=512, ge=1, le=65536)
    allowed_addresses: list[str] = Field(default_factory=list, description="peer addresses; empty: any")
    wire: Iso8583Wire | BankXmlWire = Field(discriminator="protocol")
    settlement: SettlementRules | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @model_validator(mode="after")
    def _sign_on_exists(self) -> BankProfile:
        if self.sign_on_required and self.wire.protocol == "bankxml":
            raise ValueError("sign_on_required: the bankxml protocol has no sign-on message")
        return self

    @model_validator(mode="after")
    def _resends_fit(self) -> BankProfile:
        # ISO 8583 has no calendar date of the payer: it is the day nearest to receipt, up to 12 hours off. A smaller
        # tolerance would refuse the late resend of a payment that is booked.
        if self.wire.protocol == "iso8583-guangzhou" and self.paid_at_tolerance_hours < 12:
            raise ValueError("paid_at_tolerance_hours: at least 12 on this wire, or late resends would be refused")
        return self
