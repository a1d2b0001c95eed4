"""Byte chunks to lines, in bounded memory.

Strategy: cut at LF (in every charset we take, 0x0A is never part of a longer character), wherever the chunks happen to
end. A line that grows over the limit is dropped while it comes in, so that a file without line ends can't fill the
memory; its place and its fault are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE_BYTES = 4096
"""The widest line of our layouts is below 700 bytes in any charset; the rest is room for a bank's extra spaces."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; `problem` says why its content can't be used. `number` counts from 1."""

    number: int
    content: bytes
    problem: str | None = None


def split_lines(chunks: Iterable[bytes], *, strict: bool, limit: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of `chunks`; `strict` accepts CRLF only, otherwise LF ends a line too."""
    number, rest, overlong = 0, b"", False
    for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\n")
        for content in ended:
            number += 1
            yield _overlong(number, limit) if overlong else _ended(number, content, strict, limit)
            overlong = False
        if len(rest) > limit:
            rest, overlong = b"", True
    if overlong:
        yield _overlong(number + 1, limit)
    elif rest:
        yield Line(number + 1, rest, "the line has no end (CRLF); the file may have been cut")


def _ended(number: int, content: bytes, strict: bool, limit: int) -> Line:
    if content.endswith(b"\r"):
        content = content[:-1]
    elif strict:
        return Line(number, content, "the line must end with CRLF, not with LF alone")
    return _overlong(number, limit) if len(content) > limit else Line(number, content)


def _overlong(number: int, limit: int) -> Line:
    return Line(number, b"", f"the line is longer than {limit} bytes")
