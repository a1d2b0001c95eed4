"""A layout is a table: its lines, their columns, and the two functions that join columns to values.

Strategy: reader and writer are one each, for every layout; what differs is data, checked when it is constructed. Every
line of every layout here is columns between pipes with a pipe after the last, and a line end; a line kind may start
with a tag, which is then simply its first column. Rules:

- A line is decoded whole before it is cut at the pipes: the second byte of a GBK character may be 0x7C, a pipe.
- Widths are limits in characters. A column may be empty only if it says so; an empty one is None.
- A value that only makes sense with its neighbours (a cancel names its original) is judged by the layout's builder,
  which raises `ColumnError` with the column's name.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from protocols.settlement.model import SettlementEntry, SettlementHeader, Trailer
from protocols.settlement.values import Kind

CHARSETS = ("UTF-8", "GBK", "GB18030")
LINE_END = b"\r\n"


class ColumnError(ValueError):
    """A column's content is wrong; `column` None when it is the line as a whole. The text holds no content."""

    def __init__(self, column: str | None, what: str) -> None:
        self.column = column
        self.what = what
        super().__init__(what if column is None else f"column {column}: {what}")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, kind and greatest width in characters.

    `required`: may not be empty. `omittable`: some senders leave the column out of the line altogether. `absent`: what
    is written for None.
    """

    name: str
    kind: Kind
    width: int
    required: bool = True
    omittable: bool = False
    absent: str = ""

    def read(self, text: str) -> Any:
        """The column's value, None if empty; raises ColumnError."""
        if not text:
            if self.required:
                raise ColumnError(self.name, "is empty and may not be")
            return None
        if len(text) > self.width:
            raise ColumnError(self.name, f"has {len(text)} characters; at most {self.width} are allowed")
        try:
            return self.kind.parse(text)
        except ValueError as error:
            raise ColumnError(self.name, str(error)) from None

    def write(self, value: Any) -> str:
        """The text of `value`, proved by reading it; raises ColumnError."""
        text = self.absent if value is None else self.kind.format(value)
        self.read(text)
        return text


@dataclass(frozen=True, slots=True)
class Record:
    """The columns of one kind of line, in order; at most one of them is omittable."""

    columns: tuple[Column, ...]
    _by_count: Mapping[int, tuple[Column, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) != len(names):
            raise ValueError("a record needs columns with different names")
        shorter = tuple(column for column in self.columns if not column.omittable)
        if len(self.columns) - len(shorter) > 1:
            raise ValueError("at most one column may be omittable: otherwise a line could be read in two ways")
        if any(column.omittable and column.required for column in self.columns):
            raise ValueError("a column that may be left out can't be required")
        object.__setattr__(self, "_by_count", {len(shorter): shorter, len(self.columns): self.columns})

    def cut(self, line: str) -> list[tuple[Column, str]]:
        """Columns with their texts; raises ColumnError if their number is wrong or the last pipe is missing."""
        texts = line.split("|")
        if texts.pop():
            raise ColumnError(None, "the line must end with a pipe")
        columns = self._by_count.get(len(texts))
        if columns is None:
            expected = " or ".join(str(count) for count in sorted(self._by_count))
            raise ColumnError(None, f"has {len(texts)} columns; {expected} are expected")
        return list(zip(columns, texts, strict=True))

    def join(self, values: Mapping[str, Any]) -> str:
        """The line without its end; an omittable column without a value is left out. Raises ColumnError."""
        texts = [
            column.write(values.get(column.name))
            for column in self.columns
            if not (column.omittable and values.get(column.name) is None)
        ]
        return "|".join(texts) + "|"


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """Where an entry stands: what its builder needs beyond its own columns."""

    line_no: int
    header: SettlementHeader
    zone: tzinfo


BuildHeader = Callable[[Mapping[str, Any]], SettlementHeader]
BuildEntry = Callable[[Mapping[str, Any], EntryPlace], SettlementEntry]
BuildTrailer = Callable[[Mapping[str, Any], str], Trailer]
HeaderColumns = Callable[[SettlementHeader], Mapping[str, Any]]
EntryColumns = Callable[[SettlementEntry, int, SettlementHeader, tzinfo], Mapping[str, Any]]
TrailerColumns = Callable[[SettlementHeader], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TrailerForm:
    """A layout's last line: how it begins (a detail line begins otherwise), its columns, its two functions."""

    tag: str
    record: Record
    build: BuildTrailer
    columns: TrailerColumns


@dataclass(frozen=True, slots=True)
class Layout:
    """A settlement file's layout.

    `numbered`: the detail column that counts the details from 1, if there is one. `tells_cancel_from_reversal`: false
    where one code stands for both; such an entry is read as CANCEL, and the match must hold the two for the same kind.
    `header_tag`: how the first line begins, if it has a tag. `strict_line_end`: only CRLF ends a line; otherwise a bare
    LF does too.
    """

    name: str
    charset: str
    header: Record
    detail: Record
    build_header: BuildHeader
    build_entry: BuildEntry
    header_columns: HeaderColumns
    entry_columns: EntryColumns
    trailer: TrailerForm | None = None
    header_tag: str | None = None
    numbered: str | None = None
    tells_cancel_from_reversal: bool = True
    strict_line_end: bool = True

    def __post_init__(self) -> None:
        if self.charset not in CHARSETS:
            raise ValueError(f"charset must be one of {', '.join(CHARSETS)}")
        codecs.lookup(self.charset)
        if self.numbered is not None and self.numbered not in {column.name for column in self.detail.columns}:
            raise ValueError(f"{self.numbered} is not a column of the detail lines")
