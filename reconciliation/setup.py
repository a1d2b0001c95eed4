"""What a night is told: where the ledger, the inboxes, the work and the reports are, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.banks.profile import BankProfile
from gateway.config import Installation
from gateway.keyring import Keyring
from reconciliation.extract import LedgerSource


class Stage(StrEnum):
    """The arrows of a night, in order; FILE to BREAKS once a bank."""

    CUT_OFF_CHECK = "CUT_OFF_CHECK"
    LEDGER = "LEDGER"
    FILE = "FILE"
    POOL = "POOL"
    MATCH = "MATCH"
    LOOK_UPS = "LOOK_UPS"
    TIE_OUT = "TIE_OUT"
    BREAKS = "BREAKS"
    RECEIPTS = "RECEIPTS"
    DONE = "DONE"


STAGE_WORDS: Mapping[Stage, tuple[str, str]] = {
    Stage.CUT_OFF_CHECK: ("检查日切", "cut-off check"),
    Stage.LEDGER: ("提取账务", "ledger extract"),
    Stage.FILE: ("检查对账文件", "settlement file"),
    Stage.POOL: ("跨日池", "cross-day pool"),
    Stage.MATCH: ("勾对", "match"),
    Stage.LOOK_UPS: ("查账单", "look-ups"),
    Stage.TIE_OUT: ("轧平", "tie-out"),
    Stage.BREAKS: ("登记差错", "breaks"),
    Stage.RECEIPTS: ("实收报表", "receipts report"),
    Stage.DONE: ("完成", "done"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a night is: `done` of `total` in a stage, for a bank (empty: for all)."""

    stage: Stage
    bank: str
    done: int
    total: int


Progress = Callable[[Step], None]


def silent(_: Step) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class NightSetup:
    """Everything a night needs.

    `dsn` is the night's login, `bank_names` are of all banks, run or not, `zone` is the utility's, for what is printed.
    """

    dsn: str = field(repr=False)
    partitions: int
    banks: tuple[BankProfile, ...]
    bank_names: Mapping[str, str]
    keyring: Keyring = field(repr=False)
    inbox_folder: Callable[[str], Path]
    work_folder: Path
    reports_folder: Path
    utility_name: str
    zone: ZoneInfo

    @property
    def source(self) -> LedgerSource:
        return LedgerSource(self.dsn, self.partitions)


def setup_from(installation: Installation, night_dsn: str, bank: str | None = None) -> NightSetup:
    """The night of an installation, over all its banks that send settlement files, or one of them (KeyError if none).

    The receipts report is over all banks in any case: it comes from the ledger.
    """
    banks = (installation.bank(bank),) if bank is not None else installation.banks
    return NightSetup(
        dsn=night_dsn,
        partitions=installation.partitions,
        banks=banks,
        bank_names={profile.code: profile.name for profile in installation.banks},
        keyring=installation.keyring,
        inbox_folder=installation.inbox_folder,
        work_folder=installation.night_work_folder,
        reports_folder=installation.reports_folder,
        utility_name=installation.settings.utility.name,
        zone=installation.zone,
    )
