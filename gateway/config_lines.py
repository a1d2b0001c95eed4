"""Where in a TOML file a value stands.

Strategy: `tomllib` reads the values and forgets the lines, so a second, much simpler reader finds them. It may be
simple because it runs only on text that `tomllib` accepted: it follows table headers, arrays of tables, dotted keys
and the elements of arrays, and skips over strings and inline tables without understanding them.

A path is a tuple of keys and indexes, as in `("penalty", "rates", 1, "from_date")`. A path that is not in the file
has the line of its nearest ancestor: a key that is missing is reported where its table begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]

_KEY = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*(\.)?""")
# One piece of a value; the alternatives are ordered so that a quote is never seen as plain text.
_PIECE = re.compile(
    r"""(?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<newline>\n)"""
    r"""|(?P<plain>[^"'\#\[\]{},\n]+)""",
    re.DOTALL,
)
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")


class Lines:
    """The line (from 1) of each path of one TOML text that `tomllib` has accepted."""

    __slots__ = ("_lines",)

    def __init__(self, text: str) -> None:
        self._lines = _Reader(text).read()

    def of(self, path: Sequence[str | int]) -> int:
        """The line of `path`, or of its nearest ancestor that is in the file; 1 for the file as a whole."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(tuple(path[:length]))
            if line is not None:
                return line
        return 1


def syntax_error_line(message: str, text: str) -> int:
    """The line that a `tomllib.TOMLDecodeError` speaks of ("(at line 3, column 5)" or "(at end of document)")."""
    match = _SYNTAX_LINE.search(message)
    return int(match.group(1)) if match else text.count("\n") + 1


def dotted(path: Sequence[str | int]) -> str:
    """A path as a person writes it: `penalty.rates[1].from_date`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._table: Path = ()
        self._lines: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}  # how many [[tables]] each array has so far

    def read(self) -> Mapping[Path, int]:
        while True:
            self._offset = self._after(_BLANK)
            if self._offset >= len(self._text):
                return self._lines
            if self._text.startswith("[[", self._offset):
                self._header(2)
            elif self._text.startswith("[", self._offset):
                self._header(1)
            else:
                self._statement()

    def _after(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._offset)
        return match.end() if match else self._offset

    def _line(self) -> int:
        return self._text.count("\n", 0, self._offset) + 1

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while match := _KEY.match(self._text, self._offset):
            keys.append(match.group(1).strip("\"'"))
            self._offset = match.end()
            if match.group(2) is None:
                break
        return keys

    def _header(self, brackets: int) -> None:
        line = self._line()
        self._offset += brackets
        keys = self._keys()
        self._skip_line()
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            # A header that goes through an array of tables means its last element.
            if depth < len(keys) - 1 and path in self._elements:
                path = (*path, self._elements[path] - 1)
            self._note(path, line)
        if brackets == 2:
            self._elements[path] = self._elements.get(path, 0) + 1
            path = (*path, self._elements[path] - 1)
            self._note(path, line)
        self._table = path

    def _statement(self) -> None:
        line = self._line()
        path = self._table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._offset = self._text.index("=", self._offset) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        """Skip a value, up to the end of its last line, noting where the elements of an array stand."""
        depth, element, is_array, noted = 0, 0, False, -1
        while match := _PIECE.match(self._text, self._offset):
            kind, piece = match.lastgroup, match.group()
            if kind == "newline" and depth == 0:
                break
            if depth == 0 and piece == "[":
                is_array = True
            elif depth == 1 and is_array and kind == "comma":
                element += 1
            elif depth == 1 and is_array and noted < element and _is_content(kind, piece):
                self._note((*path, element), self._line())
                noted = element
            depth += (kind == "open") - (kind == "close")
            self._offset = match.end()

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._offset)
        self._offset = len(self._text) if end < 0 else end

    def _note(self, path: Path, line: int) -> None:
        self._lines.setdefault(path, line)


def _is_content(kind: str | None, piece: str) -> bool:
    return kind in ("string", "open") or (kind == "plain" and bool(piece.strip()))
