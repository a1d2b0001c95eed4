"""The night of a clearing date: from the banks' files and the ledger to breaks and the receipts report.

Strategy: a chain of steps, each of which leaves something that the next one reads and that is never made twice:

    cut-off check -> ledger evidence -> per bank: file -> pool -> match -> look-ups -> tie-out -> breaks -> receipts

Evidence is written, synced, renamed and only then recorded with its digest, so a night that is killed anywhere starts
again from its last recorded file and ends with the same bytes and the same breaks. Every write to the database checks
the night's epoch (`store`). A bank's bad file, or an identity that fails, stops that bank and no other; what failed is
in the result, and the caller must make it loud.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from pathlib import Path

from gateway.clock import Clock
from gateway.clock import now as clock_now
from gateway.database import connect
from reconciliation.bank_night import BankNight
from reconciliation.context import Night
from reconciliation.errors import FontMissing, IdentityFailed, NightError, ReceiptsRefused
from reconciliation.extract import LEDGER_FILES, check_cut_off, check_partitions, extract_ledger_file
from reconciliation.receipts.issue import issue
from reconciliation.receipts.rows import ReceiptsInputs
from reconciliation.result import BankResult, NightResult, ReportFiles
from reconciliation.setup import NightSetup, Progress, Stage, Step, silent
from reconciliation.store import WHOLE_NIGHT, NightStore


async def run_night(
    setup: NightSetup, clearing_date: date, progress: Progress = silent, now: Clock = clock_now
) -> NightResult:
    """Run (or finish) the night of a clearing date.

    Raises NotCutOff, NightTaken, EvidenceChanged and DatabaseError, after which it can be run again. Identities that
    fail do not raise: they are in `NightResult.failures`, and `is_ok` is false.
    """
    connection = await connect(setup.dsn, application_name="busbar night")
    try:
        store = NightStore(connection, now)
        progress(Step(Stage.CUT_OFF_CHECK, "", 0, 1))
        await _check_cut_off(setup, clearing_date)
        night = Night(setup, store, await store.claim(clearing_date), progress, now)
        try:
            night.tell(Stage.CUT_OFF_CHECK, done=1)
            return await _run(night)
        finally:
            if not connection.is_closed:
                await store.release()
    finally:
        await connection.close()


async def issue_report(setup: NightSetup, clearing_date: date, now: Clock = clock_now) -> ReportFiles:
    """The receipts report of a day alone, from its evidence (extracted if no night did it yet).

    What the day's night came to stays noted as it is: a report that is issued says nothing of the banks' files.
    """
    connection = await connect(setup.dsn, application_name="busbar report")
    try:
        store = NightStore(connection, now)
        await _check_cut_off(setup, clearing_date)
        state = await store.state(WHOLE_NIGHT, clearing_date)
        night = Night(setup, store, await store.claim(clearing_date), silent, now)
        try:
            report = await _receipts(night, await _ledger(night))
            await store.note_result(night.claim, WHOLE_NIGHT, "failed" if report.refused else state, {})
            return report
        finally:
            if not connection.is_closed:
                await store.release()
    finally:
        await connection.close()


async def _check_cut_off(setup: NightSetup, clearing_date: date) -> None:
    """Before anything is claimed or noted: a day that is still open has no night."""
    await check_partitions(setup.source)
    await check_cut_off(setup.source, clearing_date)


async def _run(night: Night) -> NightResult:
    ledger = await _ledger(night)
    banks = [await _bank(night, BankNight(night, bank, ledger)) for bank in night.setup.banks if bank.settlement]
    report = await _receipts(night, ledger)
    result = NightResult(night.clearing_date, tuple(banks), report)
    night.tell(Stage.DONE, done=1)
    # A night over one bank leaves the others' states alone; the whole night's state is that of what it ran.
    state = "done" if result.is_ok else "failed"
    await night.store.note_result(night.claim, WHOLE_NIGHT, state, {"identities": dict(result.identities())})
    return result


async def _ledger(night: Night) -> dict[str, Path]:
    """The ledger's evidence of the day, all banks: file name to path."""
    paths = {}
    for number, name in enumerate(LEDGER_FILES):
        night.tell(Stage.LEDGER, done=number, total=len(LEDGER_FILES))
        make = partial(extract_ledger_file, night.setup.source, night.clearing_date)
        paths[name] = await night.once(WHOLE_NIGHT, f"ledger/{name}", make)
    night.tell(Stage.LEDGER, done=len(LEDGER_FILES), total=len(LEDGER_FILES))
    return paths


async def _bank(night: Night, bank: BankNight) -> BankResult:
    try:
        return await bank.run()
    except IdentityFailed as error:
        failed = bank.failed(str(error))
        await night.store.note_result(night.claim, bank.code, "failed", {"failure": str(error)})
        return failed


async def _receipts(night: Night, ledger: dict[str, Path]) -> ReportFiles:
    night.tell(Stage.RECEIPTS)
    inputs = ReceiptsInputs(
        payments=ledger["payments.parquet"],
        receipt_lines=ledger["receipt_lines.parquet"],
        due_from_bank=ledger["due_from_bank.parquet"],
        prepayment=ledger["prepayment.parquet"],
    )
    try:
        issued = issue(
            inputs,
            night.clearing_date,
            prepared_at=await _prepared_at(night),
            utility_name=night.setup.utility_name,
            bank_names=night.setup.bank_names,
            folder=night.setup.reports_folder / f"{night.clearing_date:%Y%m%d}",
        )
    except (ReceiptsRefused, FontMissing) as error:
        return ReportFiles(refused=str(error))
    night.tell(Stage.RECEIPTS, done=1)
    return ReportFiles(paths=tuple(issued.digests), identities=issued.identities)


async def _prepared_at(night: Night) -> datetime:
    """When the report was first issued: printed on it, so a second issue has to say the same."""
    noted = (await night.store.result(WHOLE_NIGHT, night.clearing_date)).get("prepared_at")
    if noted is None:
        noted = night.now().isoformat()
        await night.store.note_result(night.claim, WHOLE_NIGHT, "running", {"prepared_at": noted})
    if not isinstance(noted, str):
        raise NightError("the run's note of when its report was prepared is damaged")
    return datetime.fromisoformat(noted).astimezone(night.setup.zone)
