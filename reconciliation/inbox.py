"""A bank's settlement files of a day: found in its inbox, checked in order, turned into evidence.

Strategy: the inbox is a folder of the bank's; a name that ends in `.part` is being written. A file is first copied
beside its evidence, so that what is checked, read and kept is one and the same; then its name, digest and signature are
checked before a line is read, then its content while the lines go into Parquet. A refused file leaves no lines, and a
letter beside it in the inbox tells the bank why, in both languages. Numbers are taken in order; the highest accepted
one counts, and replaces what a lower one said without deleting it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.banks.profile import BankProfile, SettlementRules
from gateway.keyring import Keyring
from protocols.errors import ProtocolError
from protocols.settlement.checks import (
    ContentCheck,
    Expected,
    Failure,
    FileVerdict,
    Trace,
    check_identity,
)
from protocols.settlement.layout import Layout
from protocols.settlement.layouts import layout_named
from protocols.settlement.model import SettlementEntry
from protocols.settlement.names import SIG_SUFFIX, FileKind, parse_name
from protocols.settlement.reader import read_settlement
from protocols.signing.detached import MAX_SIG_BYTES, DigestAlgorithm, TrustedKey
from protocols.signing.detached import digest_of as stream_digest
from reconciliation.errors import NightError
from reconciliation.evidence import BANK_LINES, EvidenceWriter, check_recorded, digest_of, publish, publish_bytes

CHUNK_BYTES = 1 << 20
ROWS_AT_ONCE = 8192
_NOT_FILES = (SIG_SUFFIX, ".part", ".refused.txt", ".missing.txt")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file in the inbox whose name says that it is of the day."""

    path: Path
    sequence: int


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where a bank's files arrive, and what they have to be."""

    folder: Path
    profile: BankProfile
    rules: SettlementRules
    key: TrustedKey | None = field(repr=False)

    @property
    def layout(self) -> Layout:
        """The table of the bank's layout."""
        return layout_named(self.rules.layout, self.rules.charset, self.rules.amounts)

    def arrived(self, clearing_date: date) -> list[Arrived]:
        """Files of the day in the order of their numbers; debits (0001 of the Guangzhou names) are another matter."""
        found = []
        for path in self._files():
            with suppress(ProtocolError):
                name = parse_name(path.name, self.layout)
                if name.clearing_date == clearing_date and name.kind is FileKind.PAYMENTS:
                    found.append(Arrived(path, name.sequence))
        return sorted(found, key=lambda item: (item.sequence, item.path.name))

    def strangers(self) -> list[str]:
        """Names that no file of this bank's layout has, for the message that a file is missing."""
        names = []
        for path in self._files():
            try:
                parse_name(path.name, self.layout)
            except ProtocolError:
                names.append(path.name)
        return names

    def _files(self) -> Iterator[Path]:
        if self.folder.is_dir():
            for path in sorted(self.folder.iterdir()):
                if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_NOT_FILES):
                    yield path

    def tell_bank(self, name: str, reasons: Iterable[tuple[str, str]]) -> Path:
        """Write the letter about a refused or missing file; the same reasons give the same letter."""
        path = self.folder / name
        lines = [f"{self.profile.name} {self.profile.name_english}", ""]
        for chinese, english in reasons:
            lines += [chinese, english, ""]
        publish_bytes(path, "\r\n".join(lines).encode("utf-8-sig"))
        return path


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file after its checks. `lines_digest` is of its Parquet file, empty where it was refused."""

    verdict: FileVerdict
    sha256: str
    byte_count: int
    lines_digest: str = ""

    def with_failure(self, failure: Failure) -> CheckedFile:
        """The same with one failure more, at the end."""
        return replace(self, verdict=replace(self.verdict, failures=(*self.verdict.failures, failure)))

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Why it was refused: (Chinese, English) of each failure, in the order of the checks."""
        return tuple(reason(failure) for failure in self.verdict.failures)


def reason(failure: Failure) -> tuple[str, str]:
    """A failure as (Chinese, English), with its place and what to do."""
    advice = failure.advice
    place = f"{failure.where}: {failure.what}"
    number = failure.check.value
    return (
        f"检查{number} {failure.code.value}: {advice.meaning_zh} ({place}) {advice.to_do_zh}",
        f"check {number} {failure.code.value}: {advice.meaning} ({place}). {advice.to_do}",
    )


def open_inbox(profile: BankProfile, rules: SettlementRules, folder: Path, keyring: Keyring) -> Inbox:
    """The bank's inbox; NightError where the key of its files is no RSA key."""
    key = None
    if rules.verify_key is not None:
        public = keyring.verifying_key(rules.verify_key).public
        if not isinstance(public, RSAPublicKey):
            raise NightError(f"{profile.code}: the key {rules.verify_key} of its settlement files must be an RSA key")
        key = TrustedKey(rules.verify_key, public)
    return Inbox(folder, profile, rules, key)


def keep_copy(arrived: Arrived, folder: Path) -> Path:
    """Copy the file and its `.sig` beside the evidence; returns the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    sig = arrived.path.with_name(arrived.path.name + SIG_SUFFIX)
    for source in (sig, arrived.path):
        if source.is_file():
            part = folder / f"{source.name}.part"
            shutil.copyfile(source, part)
            publish(part, folder / source.name)
    return folder / arrived.path.name


def read_bank_file(
    inbox: Inbox,
    copy: Path,
    clearing_date: date,
    *,
    seen_sequences: Collection[int],
    cross_day: Collection[Trace],
    lines_path: Path,
) -> CheckedFile:
    """Checks 1 to 6 on a kept copy, its lines written to `lines_path` where all pass."""
    rules = inbox.rules
    algorithm = DigestAlgorithm(rules.digest)
    expected = Expected(
        bank=rules.bank_in_file,
        clearing_date=clearing_date,
        utility=rules.utility_in_file,
        digest=algorithm,
        seen_sequences=frozenset(seen_sequences),
        cross_day=frozenset(cross_day),
    )
    sha256, size = digest_of(copy), copy.stat().st_size
    digest = stream_digest(_chunks(copy), algorithm)
    identity = check_identity(copy.name, inbox.layout, expected, digest=digest, sig=_sig_of(copy), key=inbox.key)
    if not identity.ok:
        return CheckedFile(identity, sha256, size)
    reading = read_settlement(_chunks(copy), inbox.layout, inbox.profile.zone, (algorithm,))
    # Repeated traces are the match's to find: it sees both books.
    content = ContentCheck(reading, expected, identity, find_duplicates=False)
    with suppress(_Refused), EvidenceWriter(lines_path, BANK_LINES) as writer:
        for rows in _in_batches(content.entries()):
            writer.write_rows(rows)
        if not content.verdict().ok:
            raise _Refused
    return CheckedFile(content.verdict(), sha256, size, writer.digest)


def declared_net_fen(inbox: Inbox, copy: Path, sha256: str) -> int:
    """The net that an accepted file's header declares, read from the kept copy (EvidenceChanged if it is another)."""
    check_recorded(copy, sha256)
    header = read_settlement(_chunks(copy), inbox.layout, inbox.profile.zone, ()).read_header()
    if header is None:
        raise NightError(f"{copy.name}: an accepted file has no readable header any more; tell the developers")
    return header.net.minor


class _Refused(Exception):  # noqa: N818 - not an error: it makes the writer leave no file
    """Ends the writing of lines that may not count."""


def _sig_of(path: Path) -> bytes | None:
    sig = path.with_name(path.name + SIG_SUFFIX)
    if not sig.is_file():
        return None
    with sig.open("rb") as file:
        # One byte more than is allowed is enough to be refused for its length.
        return file.read(MAX_SIG_BYTES + 1)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _in_batches(entries: Iterator[SettlementEntry]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for entry in entries:
        rows.append(_line(entry))
        if len(rows) == ROWS_AT_ONCE:
            yield rows
            rows = []
    yield rows


def _line(entry: SettlementEntry) -> dict[str, Any]:
    return {
        "line_no": entry.line_no,
        "kind": entry.kind.value,
        "trace_date": entry.trace_date,
        "trace_no": entry.trace_no,
        "paid_at": entry.paid_at.astimezone(UTC).isoformat() if entry.paid_at else None,
        "customer_no": entry.customer_no,
        "receivable_id": entry.receivable_id,
        "billing_month": entry.billing_month,
        "charge_kind": entry.charge_kind,
        "amount_fen": entry.amount.minor,
        "principal_fen": entry.principal.minor if entry.principal else None,
        "channel": entry.channel,
        "settle_method": entry.settle_method,
        "status": entry.status,
        "clearing_date": entry.clearing_date,
        "reference_no": entry.reference_no,
        "original_trace_date": entry.original_trace_date,
        "original_trace_no": entry.original_trace_no,
        "original_reference_no": entry.original_reference_no,
    }
