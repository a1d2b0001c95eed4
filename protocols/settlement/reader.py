"""Read a settlement file of any layout: bytes in, entries and line errors out, one pass, bounded memory.

Strategy: one generator over the lines; totals and digests are computed on the way. Rules:

- No byte sequence raises: what can't be read is a `LineError`, and reading goes on with the next line.
- Without a readable header nothing below it can be dated, so the rest is only digested, not read.
- After the trailer nothing may follow; the first line that does is the error, the rest is only digested.
- Errors are bounded: after `MAX_LINE_ERRORS` they are counted, no longer told. (A file in the wrong charset or layout
  has as many errors as lines; the first thousand tell all there is to tell.)
- Chunk boundaries don't matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from typing import Any

from protocols.settlement.layout import ColumnError, EntryPlace, Layout, Record
from protocols.settlement.lines import Line, split_lines
from protocols.settlement.model import LineError, RunningTotals, SettlementEntry, SettlementHeader, Totals, Trailer
from protocols.signing.detached import DigestAlgorithm, RunningDigest

MAX_LINE_ERRORS = 1000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SettlementReading:
    """One pass over a file. Iterate it once; `read_header()` may be called before.

    While it runs and after it: `header` (None if unreadable), `detail_lines` (details seen, readable or not), `errors`
    and `errors_left_out` (counts). After the end, `finished` is true and `trailer` (None if the layout or the file has
    none), `totals()` and `digest(algorithm)` are of the whole file.
    """

    def __init__(
        self, chunks: Iterable[bytes], layout: Layout, zone: tzinfo, digests: Sequence[DigestAlgorithm]
    ) -> None:
        self.layout = layout
        self.header: SettlementHeader | None = None
        self.trailer: Trailer | None = None
        self.detail_lines = 0
        self.errors = 0
        self.errors_left_out = 0
        self.finished = False
        self._zone = zone
        self._running = RunningTotals()
        self._digests = {algorithm: RunningDigest(algorithm) for algorithm in digests}
        self._lines = split_lines(self._digested(chunks), strict=layout.strict_line_end)
        self._early: list[LineError] = []
        self._header_read = False
        self._iterated = False

    def __iter__(self) -> Iterator[SettlementEntry | LineError]:
        if self._iterated:
            raise RuntimeError("a settlement file is read once; read it again for a second pass")
        self._iterated = True
        return self._items()

    def read_header(self) -> SettlementHeader | None:
        """Read the first line, if that was not done yet; its errors come first when iterating."""
        if not self._header_read:
            self._header_read = True
            first = next(self._lines, None)
            if first is None:
                self._early.append(LineError(1, None, "the file is empty; a day without entries has a header too"))
            else:
                self._read_header_line(first)
        return self.header

    def totals(self) -> Totals:
        """The totals of the entries read so far, in the header's currency."""
        return self._running.totals(self.header.currency) if self.header is not None else self._running.totals("CNY")

    def digest(self, algorithm: DigestAlgorithm = DigestAlgorithm.SHA256) -> str:
        """The digest of all bytes, in hexadecimal; RuntimeError before the end."""
        if not self.finished:
            raise RuntimeError("the digest is known after the last line")
        if algorithm not in self._digests:
            raise RuntimeError(f"this reading was not asked for {algorithm}")
        return self._digests[algorithm].hexadecimal()

    def _digested(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        running = tuple(self._digests.values())
        for chunk in chunks:
            for digest in running:
                digest.update(chunk)
            yield chunk

    def _items(self) -> Iterator[SettlementEntry | LineError]:
        self.read_header()
        for error in self._early:
            yield from self._told(error)
        if self.header is not None:
            yield from self._below_header(self.header)
        for _ in self._lines:  # what is not read any more still counts for the digest
            pass
        self.finished = True

    def _told(self, error: LineError) -> Iterator[LineError]:
        self.errors += 1
        if self.errors <= MAX_LINE_ERRORS:
            yield error
        else:
            self.errors_left_out += 1

    def _read_header_line(self, line: Line) -> None:
        if line.content.startswith(_BYTE_ORDER_MARK):
            self._early.append(LineError(1, None, "the file starts with a byte order mark; it must be left out"))
            return
        tag = self.layout.header_tag
        if tag is not None and not line.content.startswith(f"{tag}|".encode("ascii")):
            self._early.append(LineError(1, "tag", f"the header is missing: the first line must begin with {tag}"))
            return
        values = self._values(self.layout.header, line, self._early)
        if values is None:
            return
        try:
            self.header = self.layout.build_header(values)
        except ColumnError as error:
            self._early.append(LineError(1, error.column, error.what))

    def _values(self, record: Record, line: Line, errors: list[LineError]) -> dict[str, Any] | None:
        """The columns' values; None, with what is wrong in `errors`, if any of them can't be read."""
        if line.problem is not None:
            errors.append(LineError(line.number, None, line.problem))
            return None
        try:
            cut = record.cut(line.content.decode(self.layout.charset))
        except UnicodeDecodeError as error:
            what = f"byte {error.start + 1} is no character of {self.layout.charset}"
            errors.append(LineError(line.number, None, what))
            return None
        except ColumnError as error:
            errors.append(LineError(line.number, error.column, error.what))
            return None
        values: dict[str, Any] = {}
        before = len(errors)
        for column, text in cut:
            try:
                values[column.name] = column.read(text)
            except ColumnError as error:
                errors.append(LineError(line.number, error.column, error.what))
        return values if len(errors) == before else None

    def _below_header(self, header: SettlementHeader) -> Iterator[SettlementEntry | LineError]:
        trailer = self.layout.trailer
        trailer_mark = None if trailer is None else f"{trailer.tag}|".encode("ascii")
        number, cut_off = 1, False
        expected_seq: int | None = 1  # None after a line that can't be read: it may have been a detail or not
        for line in self._lines:
            number, cut_off = line.number, line.problem is not None
            if trailer_mark is not None and line.content.startswith(trailer_mark):
                yield from self._read_trailer_line(line, header)
                return
            self.detail_lines += 1
            errors: list[LineError] = []
            values = self._values(self.layout.detail, line, errors)
            if values is not None and self.layout.numbered is not None:
                expected_seq = self._check_number(values[self.layout.numbered], expected_seq, line.number, errors)
            else:
                expected_seq = None
            entry = None if values is None or errors else self._entry(values, line.number, header, errors)
            for error in errors:
                yield from self._told(error)
            if entry is not None:
                self._running.add(entry)
                yield entry
        if trailer_mark is not None and not cut_off:
            yield from self._told(LineError(number + 1, None, "the trailer is missing; the file may have been cut"))

    def _check_number(self, seq: int, expected: int | None, line_no: int, errors: list[LineError]) -> int:
        """Compare the line's own number with its place; go on from the line's, so that one gap is one error."""
        if expected is not None and seq != expected:
            errors.append(LineError(line_no, self.layout.numbered, f"must count the details: {expected} is expected"))
        return seq + 1

    def _entry(
        self, values: dict[str, Any], line_no: int, header: SettlementHeader, errors: list[LineError]
    ) -> SettlementEntry | None:
        try:
            return self.layout.build_entry(values, EntryPlace(line_no, header, self._zone))
        except ColumnError as error:
            errors.append(LineError(line_no, error.column, error.what))
            return None

    def _read_trailer_line(self, line: Line, header: SettlementHeader) -> Iterator[LineError]:
        form = self.layout.trailer
        assert form is not None  # noqa: S101 - the caller matched its tag
        errors: list[LineError] = []
        values = self._values(form.record, line, errors)
        if values is not None:
            self.trailer = form.build(values, header.currency)
        after = next(self._lines, None)
        if after is not None:
            errors.append(LineError(after.number, None, "nothing may follow the trailer"))
        for error in errors:
            yield from self._told(error)


def read_settlement(
    chunks: Iterable[bytes],
    layout: Layout,
    zone: tzinfo,
    digests: Sequence[DigestAlgorithm] = (DigestAlgorithm.SHA256,),
) -> SettlementReading:
    """Start reading a file of `layout`, its local times in `zone`; nothing is consumed before it is asked for."""
    return SettlementReading(chunks, layout, zone, digests)
