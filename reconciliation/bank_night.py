"""One bank's part of a night: its file, the match, the tie-out, the breaks.

Strategy: the steps of `nightly` for one bank, in order. What comes from outside the evidence (the break store's open
breaks, the ledger's look-ups) becomes evidence first, so that the same file always gives the same breaks. Breaks are
stored only after every identity holds, in one transaction with the end of the bank's run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from gateway.banks.profile import BankProfile
from protocols.settlement.advice import FailureCode
from protocols.settlement.checks import Failure
from reconciliation.breaks.ageing import age_marks, pool_rows, pool_window
from reconciliation.breaks.build import build_breaks, file_error
from reconciliation.breaks.kinds import BreakKind
from reconciliation.breaks.lookups import LookUps, read_lookups
from reconciliation.breaks.model import Break
from reconciliation.context import Night
from reconciliation.errors import NightError
from reconciliation.evidence import POOL, EvidenceWriter, digest_of
from reconciliation.extract import extract_earlier_postings, extract_receivables
from reconciliation.inbox import (
    Arrived,
    CheckedFile,
    Inbox,
    declared_net_fen,
    keep_copy,
    open_inbox,
    read_bank_file,
    reason,
)
from reconciliation.matching.engine import MatchInputs, MatchResult, run_match
from reconciliation.matching.entries import PAY
from reconciliation.result import BankResult, FileVerdict
from reconciliation.setup import Stage
from reconciliation.store import InboxFile
from reconciliation.tie_out import TieOutInputs, check, compute_terms, identities
from reconciliation.unresolved.rows import extract_open, keys_in_file, read_open
from reconciliation.unresolved.settle import settle

_NO_FILE = FileVerdict("", 0, "missing")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the bank's latest file, or the lack of one, is a break."""

    verdict: FileVerdict
    found: Break


class BankNight:
    """The night of one bank; `ledger` are the day's evidence files by name."""

    def __init__(self, night: Night, profile: BankProfile, ledger: dict[str, Path]) -> None:
        if profile.settlement is None:
            raise NightError(f"{profile.code}: the profile has no settlement section")
        self.code = profile.code
        self._night = night
        self._profile = profile
        self._layout = profile.settlement.layout
        self._ledger = ledger
        self._verdict = _NO_FILE
        self._inbox: Inbox = open_inbox(
            profile, profile.settlement, night.setup.inbox_folder(profile.code), night.setup.keyring
        )

    def failed(self, failure: str) -> BankResult:
        """The result where an identity failed."""
        return BankResult(self.code, self._verdict, failure=failure)

    async def run(self) -> BankResult:
        """All steps; raises IdentityFailed, after which nothing of this bank's day is recorded but its evidence."""
        night = self._night
        await night.store.open_bank(night.claim, self.code)
        night.tell(Stage.FILE, self.code)
        file, refusal = await self._take_file()
        night.tell(Stage.FILE, self.code, done=1)
        if file is None:
            return await self._without_file(refusal)
        result = await self._matched(file, refusal)
        await self._age()
        return result

    async def _take_file(self) -> tuple[InboxFile | None, Refusal | None]:
        """The file that counts, and the refusal of a later one (or of all)."""
        night, day = self._night, self._night.clearing_date
        accepted = await night.store.accepted_file(self.code, day)
        refusal = None
        for arrived in self._inbox.arrived(day):
            file = InboxFile(arrived.sequence, arrived.path.name, digest_of(arrived.path))
            if accepted is not None and (file.sequence < accepted.sequence or file == accepted):
                continue
            checked = await self._check(arrived, file, is_done=accepted is not None)
            if checked.verdict.ok:
                accepted, refusal = file, None
            else:
                refusal = self._refuse(file, checked.verdict.failures[0], checked.reasons)
        if accepted is not None:
            verdict = FileVerdict(accepted.name, accepted.sequence, "accepted")
            self._verdict = refusal.verdict if refusal else verdict
        elif refusal is None:
            refusal = self._missing()
            self._verdict = refusal.verdict
        return accepted, refusal

    async def _check(self, arrived: Arrived, file: InboxFile, *, is_done: bool) -> CheckedFile:
        night, day = self._night, self._night.clearing_date
        folder = _folder(self.code, file)
        copy = keep_copy(arrived, night.path(folder))
        noted = [other for other, _ in await night.store.noted_files(self.code, day)]
        first, last = pool_window(day)
        neighbours = await night.store.open_breaks_around(self.code, first, last, day)
        records = [item.found.record for item in neighbours]
        checked = read_bank_file(
            self._inbox,
            copy,
            day,
            seen_sequences={other.sequence for other in noted if other != file and other.sequence <= file.sequence},
            cross_day=[(record.key_date, record.key_no) for record in records if record is not None],
            lines_path=night.path(f"{folder}/bank.parquet"),
        )
        if checked.verdict.ok:
            await night.same(self.code, f"{folder}/bank.parquet", checked.lines_digest)
        elif is_done and any(failure.code is FailureCode.SEQUENCE_REPEATED for failure in checked.verdict.failures):
            # Check 8 comes last in the table and is only asked of a number that was matched already.
            done = Failure(FailureCode.DAY_DONE, "file name", f"{file.sequence:03d} was matched already")
            checked = checked.with_failure(done)
        failed = "" if checked.verdict.ok else checked.verdict.failures[0].code.value
        await night.store.note_file(night.claim, self.code, file, byte_count=checked.byte_count, failed_check=failed)
        return checked

    def _refuse(self, file: InboxFile, first: Failure, reasons: tuple[tuple[str, str], ...]) -> Refusal:
        self._inbox.tell_bank(f"{file.name}.refused.txt", reasons)
        verdict = FileVerdict(file.name, file.sequence, "refused", first.code.value, reasons)
        detail = f"{file.name} {file.digest} {first.code.value}"
        return Refusal(verdict, file_error(self.code, self._night.clearing_date, detail, *reason(first)))

    def _missing(self) -> Refusal:
        day = self._night.clearing_date
        strangers = self._inbox.strangers()
        others = f" ({', '.join(strangers[:5])})" if strangers else ""
        chinese = f"没有收到 {day} 的对账文件, 请重送" + (f"; 收件箱中有文件名不符的文件{others}" if others else "")
        english = f"no settlement file of {day} has come; please send it"
        english += f"; the inbox has files of other names{others}" if others else ""
        self._inbox.tell_bank(f"{self.code}_{day:%Y%m%d}.missing.txt", [(chinese, english)])
        verdict = FileVerdict("", 0, "missing", "MISSING", ((chinese, english),))
        return Refusal(verdict, file_error(self.code, day, "missing", chinese, english))

    async def _without_file(self, refusal: Refusal | None) -> BankResult:
        if refusal is None:
            raise LookupError("a bank without a file has a refusal")
        night = self._night
        night.tell(Stage.BREAKS, self.code)
        breaks = (refusal.found,)
        result = {"file": refusal.verdict.verdict, "failed_check": refusal.verdict.failed_check}
        await night.store.replace_breaks(
            night.claim, self.code, breaks, cause=refusal.found.detail, state="file_error", result=result
        )
        night.tell(Stage.BREAKS, self.code, done=1)
        await self._age()
        return BankResult(self.code, refusal.verdict, breaks=breaks)

    async def _matched(self, file: InboxFile, refusal: Refusal | None) -> BankResult:
        night, folder = self._night, _folder(self.code, file)
        lines = await night.once(self.code, f"{folder}/bank.parquet", _gone)
        night.tell(Stage.POOL, self.code)
        pool = await night.once(self.code, f"{folder}/pool.parquet", self._write_pool)
        night.tell(Stage.POOL, self.code, done=1)
        match = await self._match(folder, lines, pool)
        lookups = await self._look_up(folder, lines, match)
        in_doubt = read_open(await night.once(self.code, f"{folder}/unresolved.parquet", self._write_unresolved))
        suspects = {row.key[1:] for row in in_doubt if row.key[0] == PAY}
        differences = match.differences
        breaks = build_breaks(self.code, night.clearing_date, differences, match.proposals, lookups, suspects=suspects)
        night.tell(Stage.TIE_OUT, self.code)
        inputs = TieOutInputs(
            self.code,
            night.clearing_date,
            lines,
            self._ledger["payments.parquet"],
            self._ledger["due_from_bank.parquet"],
            pool,
        )
        terms = compute_terms(inputs)
        bank_net_fen = declared_net_fen(self._inbox, night.path(f"{folder}/{file.name}"), file.digest)
        equations = identities(terms, bank_net_fen, breaks)
        check(f"{self.code} {night.clearing_date}", equations)
        night.tell(Stage.TIE_OUT, self.code, done=1)
        result = BankResult(
            bank=self.code,
            file=self._verdict,
            matched=match.matched,
            netted=match.netted,
            bank_net_fen=bank_net_fen,
            utility_net_fen=terms.utility_net_fen,
            totals=match.totals,
            breaks=(*breaks, refusal.found) if refusal else breaks,
            identities=equations,
        )
        await self._store(file, result)
        in_file = keys_in_file(night.path(f"{folder}/matched.parquet"), match.differences)
        await settle(night, self.code, file.name, in_doubt, in_file)
        return result

    async def _write_unresolved(self, path: Path) -> str:
        return await extract_open(self._night.setup.source, self.code, self._night.clearing_date, path)

    async def _write_pool(self, path: Path) -> str:
        night = self._night
        first, last = pool_window(night.clearing_date)
        around = await night.store.open_breaks_around(self.code, first, last, night.clearing_date)
        with EvidenceWriter(path, POOL) as writer:
            writer.write_rows(pool_rows(item.found for item in around))
        return writer.digest

    async def _match(self, folder: str, lines: Path, pool: Path) -> MatchResult:
        night = self._night
        night.tell(Stage.MATCH, self.code)
        inputs = MatchInputs(
            bank=self.code,
            layout=self._layout,
            bank_lines=lines,
            payments=self._ledger["payments.parquet"],
            receipt_lines=self._ledger["receipt_lines.parquet"],
            pool=pool,
        )
        match = run_match(inputs, night.path(f"{folder}/matched.parquet"), night.path(folder))
        await night.same(self.code, f"{folder}/matched.parquet", match.matched_digest)
        night.tell(Stage.MATCH, self.code, done=1)
        return match

    async def _look_up(self, folder: str, lines: Path, match: MatchResult) -> LookUps:
        """Our books around the bank-only entries, as evidence."""
        night, source, day = self._night, self._night.setup.source, self._night.clearing_date
        night.tell(Stage.LOOK_UPS, self.code)
        rows = [row for row in match.differences if row["verdict"] == BreakKind.BANK_ONLY]
        customers = sorted({row["bank_customer_no"] for row in rows})
        bills = sorted({name for row in rows for name in (row["bank_receivable_ids"] or "").split()})
        traces = sorted({(row["key_date"], row["key_no"]) for row in rows})

        async def receivables(path: Path) -> str:
            return await extract_receivables(source, day, customers, bills, path)

        async def postings(path: Path) -> str:
            days = await night.store.reconciled_days(self.code)
            return await extract_earlier_postings(source, day, bank=self.code, traces=traces, days=days, path=path)

        receivables_path = await night.once(self.code, f"{folder}/receivables.parquet", receivables)
        postings_path = await night.once(self.code, f"{folder}/earlier_postings.parquet", postings)
        night.tell(Stage.LOOK_UPS, self.code, done=1)
        return read_lookups(_rows(receivables_path), _rows(postings_path), _lines_on(lines, bills))

    async def _store(self, file: InboxFile, result: BankResult) -> None:
        night = self._night
        night.tell(Stage.BREAKS, self.code)
        noted = {
            "file": file.name,
            "matched": result.matched,
            "netted": result.netted,
            "bank_net_fen": result.bank_net_fen,
            "utility_net_fen": result.utility_net_fen,
            "breaks": {kind.value: count for kind, (count, _) in result.breaks_by_kind().items()},
            "identities": [equation.as_row() for equation in result.identities],
        }
        cause = f"{file.name} {file.digest}"
        await night.store.replace_breaks(night.claim, self.code, result.breaks, cause=cause, state="done", result=noted)
        night.tell(Stage.BREAKS, self.code, done=1)

    async def _age(self) -> None:
        night = self._night
        stored = await night.store.breaks(bank=self.code)
        still_open = [item.found for item in stored if item.state == "open"]
        await night.store.age(night.claim, age_marks(still_open, night.clearing_date))


def _folder(bank: str, file: InboxFile) -> str:
    """The evidence folder of one file: numbered, and told apart from another file of the same number."""
    return f"{bank}/{file.sequence:03d}-{file.digest[:8]}"


async def _gone(path: Path) -> str:
    raise NightError(f"{path}: the lines of an accepted file were never recorded; restore the database from its backup")


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def _lines_on(lines: Path, receivable_ids: list[str]) -> list[dict[str, Any]]:
    """The file's lines on these bills, what was undone counted negatively."""
    with duckdb.connect() as connection:
        connection.read_parquet(str(lines)).create_view("bank_line")
        result = connection.execute(
            "SELECT trace_date, trace_no, receivable_id,"
            " CASE kind WHEN 'PAY' THEN 1 ELSE -1 END * coalesce(principal_fen, amount_fen) AS principal_fen"
            " FROM bank_line WHERE receivable_id = ANY($bills) ORDER BY line_no",
            {"bills": receivable_ids},
        )
        columns = [column[0] for column in result.description]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
