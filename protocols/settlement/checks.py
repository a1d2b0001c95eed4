"""The checks of a settlement file, in two stages, before anything of it is matched.

Strategy: stage one (`check_identity`) knows the name, the `.sig` and the digest of the bytes, and opens nothing; stage
two (`ContentCheck`) reads the lines. So an unsigned or foreign file is never parsed. The night needs two passes over
the bytes: `digest_of(chunks)` for the first stage, and one reading that the second stage and whoever keeps the entries
share. Rules:

- Failures come in the order of the checks; all that can be told at once are told. After a failed name nothing can be
  said about the `.sig`; while lines can't be read their sums mean nothing, so checks 4 to 6 wait.
- A repeated trace is no failure of the file. Lines of one payment share kind, trace and time of payment and
  name different receivables, at most one of them none (what went to prepayment); any other repetition is a duplicate of
  the first line with that trace. A layout without receivables has one line per payment.
- Every text is safe to log: places, rules, counts and sums of the whole file, trace numbers; no customer, no account.
- The digest of the content pass must be the one that was signed: a file that changes in between is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from protocols.errors import ProtocolError
from protocols.money import CURRENCY
from protocols.settlement.advice import ADVICE, Advice, Check, FailureCode
from protocols.settlement.layout import Layout
from protocols.settlement.model import (
    EntryKind,
    LineError,
    SettlementEntry,
    SettlementHeader,
    Totals,
)
from protocols.settlement.names import FileKind, FileName, parse_name
from protocols.settlement.reader import SettlementReading, read_settlement
from protocols.signing.detached import (
    DigestAlgorithm,
    FileStatement,
    SigError,
    SigProblem,
    TrustedKey,
    check_sig,
    digest_of,
)

Trace = tuple[date, str]
"""(trace date, trace number) of a bank."""
MAX_NAMED_LINES = 10
"""So many line numbers one failure names; a letter to a bank is read by a person."""

_SIG_CODES = {
    SigProblem.FORM: FailureCode.SIG_FORM,
    SigProblem.DIGEST_ALGORITHM: FailureCode.DIGEST_ALGORITHM,
    SigProblem.DIGEST: FailureCode.DIGEST_WRONG,
    SigProblem.UNSIGNED: FailureCode.SIGNATURE_MISSING,
    SigProblem.KEY: FailureCode.SIGNATURE_KEY,
    SigProblem.SIGNATURE: FailureCode.SIGNATURE_WRONG,
    SigProblem.STATEMENT: FailureCode.SIG_OTHER_FILE,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed check: its code, where in the file, and what was found there. What to do is in `advice`."""

    code: FailureCode
    where: str
    what: str

    @property
    def advice(self) -> Advice:
        return ADVICE[self.code]

    @property
    def check(self) -> Check:
        return self.advice.check

    def __str__(self) -> str:
        return f"check {self.check.value} {self.code}: {self.where}: {self.what}. {self.advice.to_do}"


@dataclass(frozen=True, slots=True)
class DuplicateTrace:
    """A line that repeats the trace of an earlier one: a line break of kind DUPLICATE_BANK."""

    line_no: int
    first_line_no: int
    kind: EntryKind
    trace_date: date
    trace_no: str


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What the checks found. `totals` are those of the readable details, None if the content was not read."""

    failures: tuple[Failure, ...]
    file_name: FileName | None = None
    digest: str | None = None
    header: SettlementHeader | None = None
    totals: Totals | None = None
    line_errors: tuple[LineError, ...] = ()
    line_errors_left_out: int = 0
    duplicates: tuple[DuplicateTrace, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the file may be matched."""
        return not self.failures

    @property
    def first_failed(self) -> Check | None:
        return self.failures[0].check if self.failures else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a file has to be.

    `bank` is the bank's name in files (of the profile). `seen_sequences`: of all files of this bank, day and kind that
    came in before, refused ones too; the next number is due. `cross_day`: traces that are known to be dated to another
    day by the utility. `utility` None: not compared.
    """

    bank: str
    clearing_date: date
    utility: str | None = None
    currency: str = CURRENCY
    kind: FileKind = FileKind.PAYMENTS
    digest: DigestAlgorithm = DigestAlgorithm.SHA256
    seen_sequences: Collection[int] = frozenset()
    cross_day: Container[Trace] = field(default=frozenset(), repr=False)


def check_identity(
    name: str, layout: Layout, expected: Expected, *, digest: str, sig: bytes | None, key: TrustedKey | None
) -> FileVerdict:
    """Checks 1 and 2: the name, then the `.sig` (None: there is none) against `digest` of the file's bytes.

    `digest` (hexadecimal) is by the algorithm `expected.digest`. `key` None: the profile asks for a digest only.
    """
    try:
        file_name = parse_name(name, layout)
    except ProtocolError as error:
        return FileVerdict((Failure(FailureCode.NAME_PATTERN, error.where, error.what),))
    failures = list(_name_failures(file_name, expected))
    statement = FileStatement(
        file_name.bank, file_name.clearing_date, file_name.sequence, name, digest, expected.digest
    )
    if sig is None:
        failures.append(Failure(FailureCode.SIG_MISSING, ".sig", "not found beside the file"))
    else:
        try:
            check_sig(sig, statement, key)
        except SigError as error:
            failures.append(Failure(_SIG_CODES[error.problem], error.where, error.what))
    return FileVerdict(tuple(failures), file_name, digest)


def _name_failures(found: FileName, expected: Expected) -> Iterator[Failure]:
    if found.bank != expected.bank:
        yield Failure(FailureCode.NAME_BANK, "file name", f"bank must be {expected.bank}")
    if found.kind is not expected.kind:
        yield Failure(FailureCode.NAME_KIND, "file name", f"must be a file of {expected.kind.lower()}")
    if found.clearing_date != expected.clearing_date:
        yield Failure(FailureCode.NAME_DATE, "file name", f"clearing date must be {expected.clearing_date}")
    due = max(expected.seen_sequences, default=0) + 1
    if found.sequence in expected.seen_sequences:
        yield Failure(FailureCode.SEQUENCE_REPEATED, "file name", f"{found.sequence:03d} was seen; {due:03d} is due")
    elif found.sequence != due:
        yield Failure(FailureCode.SEQUENCE_GAP, "file name", f"{due:03d} is due")


_Key = tuple[EntryKind, date, str]


class _Traces:
    """Finds repeated traces; keeps one small record per trace of the file."""

    __slots__ = ("_first", "_receivables")

    def __init__(self) -> None:
        self._first: dict[_Key, tuple[int, datetime | None, str | None]] = {}
        self._receivables: dict[_Key, set[str | None]] = {}

    def repeated(self, entry: SettlementEntry) -> DuplicateTrace | None:
        key = (entry.kind, entry.trace_date, entry.trace_no)
        own = (entry.line_no, entry.paid_at, entry.receivable_id)
        first = self._first.setdefault(key, own)
        if first is own:
            return None
        if entry.paid_at == first[1]:
            receivables = self._receivables.setdefault(key, {first[2]})
            if entry.receivable_id not in receivables:
                receivables.add(entry.receivable_id)
                return None
        return DuplicateTrace(entry.line_no, first[0], *key)


class ContentCheck:
    """Checks 3 to 7 while a reading goes by: iterate `entries()` to its end, then ask for the `verdict()`.

    What the caller made of the entries is worth nothing before the verdict is `ok`. With `find_duplicates` false
    check 7 is left to the match, and the memory no longer grows with the number of lines. With `identity`, the reading
    must have been started with the digest algorithm that was signed.
    """

    def __init__(
        self,
        reading: SettlementReading,
        expected: Expected,
        identity: FileVerdict | None = None,
        *,
        find_duplicates: bool = True,
    ) -> None:
        self._reading = reading
        self._expected = expected
        self._identity = identity
        self._traces = _Traces() if find_duplicates else None
        self._line_errors: list[LineError] = []
        self._duplicates: list[DuplicateTrace] = []
        self._other_days = 0
        self._other_day_lines: list[int] = []

    def entries(self) -> Iterator[SettlementEntry]:
        """The entries that can be read, in the file's order, repeated ones included."""
        for item in self._reading:
            if isinstance(item, LineError):
                self._line_errors.append(item)
                continue
            self._look_at(item)
            yield item

    def verdict(self) -> FileVerdict:
        """What was found; RuntimeError before the reading has come to its end."""
        reading = self._reading
        if not reading.finished:
            raise RuntimeError("the verdict is known after the last line")
        totals = reading.totals()
        failures = list(self._digest_failures())
        failures += self._line_failures()
        failures += _header_failures(reading.header, self._expected)
        if not self._line_errors and reading.header is not None:
            failures += _sum_failures(reading, reading.header, totals)
            failures += self._date_failures(reading.header)
        return FileVerdict(
            tuple(sorted(failures, key=lambda failure: failure.check)),
            None if self._identity is None else self._identity.file_name,
            None if self._identity is None else self._identity.digest,
            reading.header,
            totals,
            tuple(self._line_errors),
            reading.errors_left_out,
            tuple(self._duplicates),
        )

    def _look_at(self, entry: SettlementEntry) -> None:
        header = self._reading.header
        cross_day = self._expected.cross_day
        if (
            header is not None
            and entry.clearing_date != header.clearing_date
            and (entry.trace_date, entry.trace_no) not in cross_day
        ):
            self._other_days += 1
            if self._other_days <= MAX_NAMED_LINES:
                self._other_day_lines.append(entry.line_no)
        duplicate = None if self._traces is None else self._traces.repeated(entry)
        if duplicate is not None:
            self._duplicates.append(duplicate)

    def _digest_failures(self) -> Iterator[Failure]:
        signed = None if self._identity is None else self._identity.digest
        if signed is not None and self._reading.digest(self._expected.digest) != signed:
            yield Failure(FailureCode.FILE_CHANGED, "file", "has another digest than before it was read")

    def _line_failures(self) -> Iterator[Failure]:
        if self._line_errors:
            count = self._reading.errors
            yield Failure(
                FailureCode.LINES_UNREADABLE,
                f"line {self._line_errors[0].line_no}",
                f"{count} error{'s' if count > 1 else ''}, the first: {self._line_errors[0]}",
            )

    def _date_failures(self, header: SettlementHeader) -> Iterator[Failure]:
        if header.clearing_date != self._expected.clearing_date:
            yield Failure(
                FailureCode.HEADER_DATE, "line 1 column clearing_date", f"must be {self._expected.clearing_date}"
            )
        if self._other_days:
            lines = ", ".join(str(number) for number in self._other_day_lines)
            more = self._other_days - len(self._other_day_lines)
            yield Failure(
                FailureCode.ENTRY_DATE,
                f"line {lines}" + (f" and {more} more" if more else ""),
                f"clearing date is not {header.clearing_date} and the trace is not listed as cross-day",
            )


def _header_failures(header: SettlementHeader | None, expected: Expected) -> Iterator[Failure]:
    if header is None:
        return
    pairs = (
        (FailureCode.HEADER_BANK, "bank", header.bank, expected.bank),
        (FailureCode.HEADER_UTILITY, "utility", header.utility, expected.utility),
        (FailureCode.HEADER_CURRENCY, "currency", header.currency, expected.currency),
    )
    for code, column, found, wanted in pairs:
        if found is not None and wanted is not None and found != wanted:
            yield Failure(code, f"line 1 column {column}", f"must be {wanted}")


def _sum_failures(reading: SettlementReading, header: SettlementHeader, totals: Totals) -> Iterator[Failure]:
    """Checks 4 and 5; a figure that the layout doesn't have is None and is not compared."""
    trailer = reading.trailer
    stated = (
        (FailureCode.HEADER_COUNT, "line 1 column count", header.count, totals.count),
        (FailureCode.HEADER_GROSS_COUNT, "line 1 column payment_count", header.payment_count, totals.payment_count),
        (FailureCode.HEADER_GROSS_COUNT, "line 1 column cancel_count", header.cancel_count, totals.cancel_count),
        (FailureCode.TRAILER_COUNT, "trailer column count", trailer and trailer.count, totals.count),
        (FailureCode.HEADER_AMOUNT, "line 1 column net", header.net, totals.net),
        (FailureCode.HEADER_GROSS_AMOUNT, "line 1 column payment_amount", header.payment_amount, totals.payment_amount),
        (FailureCode.HEADER_GROSS_AMOUNT, "line 1 column cancel_amount", header.cancel_amount, totals.cancel_amount),
        (FailureCode.TRAILER_AMOUNT, "trailer column net", trailer and trailer.net, totals.net),
    )
    for code, where, said, computed in stated:
        if said is not None and said != computed:
            yield Failure(code, where, f"says {said}, the details give {computed}")


def check_content(reading: SettlementReading, expected: Expected, identity: FileVerdict | None = None) -> FileVerdict:
    """Checks 3 to 7 on a whole reading, whose entries nobody wants."""
    check = ContentCheck(reading, expected, identity)
    for _ in check.entries():
        pass
    return check.verdict()


def check_file(
    name: str,
    layout: Layout,
    zone: tzinfo,
    expected: Expected,
    *,
    sig: bytes | None,
    key: TrustedKey | None,
    open_chunks: Callable[[], Iterable[bytes]],
) -> FileVerdict:
    """Checks 1 to 7; `open_chunks` is called once per pass, the second time only if the first stage passed."""
    digest = digest_of(open_chunks(), expected.digest)
    identity = check_identity(name, layout, expected, digest=digest, sig=sig, key=key)
    if not identity.ok:
        return identity
    return check_content(read_settlement(open_chunks(), layout, zone, (expected.digest,)), expected, identity)
