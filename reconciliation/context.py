"""What the steps of a night share: its setup, its book, its claim, and evidence that is made once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from gateway.clock import Clock
from reconciliation.errors import EvidenceChanged
from reconciliation.evidence import check_recorded
from reconciliation.setup import NightSetup, Progress, Stage, Step
from reconciliation.store import Claim, NightStore

MakeEvidence = Callable[[Path], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Night:
    """One run over one clearing date."""

    setup: NightSetup
    store: NightStore = field(repr=False)
    claim: Claim
    progress: Progress = field(repr=False)
    now: Clock = field(repr=False)

    @property
    def clearing_date(self) -> date:
        return self.claim.clearing_date

    def path(self, name: str) -> Path:
        """Where the evidence file of this name lies."""
        return self.setup.work_folder / f"{self.clearing_date:%Y%m%d}" / name

    def tell(self, stage: Stage, bank: str = "", *, done: int = 0, total: int = 1) -> None:
        self.progress(Step(stage, bank, done, total))

    async def once(self, run: str, name: str, make: MakeEvidence) -> Path:
        """The path of an evidence file: as recorded (its digest checked), or made now, then recorded."""
        path = self.path(name)
        recorded = (await self.store.evidence(run, self.clearing_date)).get(name)
        if recorded is not None:
            check_recorded(path, recorded)
            return path
        digest = await make(path)
        await self.store.record_evidence(self.claim, run, {name: digest})
        return path

    async def same(self, run: str, name: str, digest: str) -> None:
        """Record a file that is made again in every run, or check that it came out as it was recorded."""
        recorded = (await self.store.evidence(run, self.clearing_date)).get(name)
        if recorded is None:
            await self.store.record_evidence(self.claim, run, {name: digest})
        elif recorded != digest:
            raise EvidenceChanged(
                f"{name}: came out otherwise than recorded earlier; the program or the evidence has changed: "
                "keep both folders and tell the developers"
            )
