"""Tables of elements, and the two walks over them: read and write.

Strategy: a message body is a `Group` of parts in a fixed order; a part is a `Leaf` (an element with text of one
`Kind`) or another `Group`. The table is the grammar: reading takes the children one by one in the table's order, so an
unknown, missing, repeated or misplaced element is found where it stands, and named by its path. Writing walks the same
table, so that a message can't be written that would not be read. Tables are checked when they are constructed.

- Values go into a frozen dataclass, `Group.make`, under the parts' attribute names.
- `ONE` is mandatory, `OPTIONAL` may be absent (the value is then `Leaf.absent`), `MANY` is a tuple of none to `limit`.
- No attributes but those of the kind; no text in groups but white space, so that indented documents can be read.
- A `ValueError` of `make` is a rule over several elements ("exactly one of"); it is told with the group's path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from lxml import etree

from protocols.bankxml.kinds import Kind
from protocols.errors import ProtocolError
from protocols.xml import local_name, path_of

NAMESPACE = "urn:busbar:bankxml:1"
_NO_ATTRIBUTES: frozenset[str] = frozenset()


class Occurs(Enum):
    """How often a part stands: exactly once, at most once, or up to its limit."""

    ONE = "1"
    OPTIONAL = "0..1"
    MANY = "0..n"


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element with text. `meaning` is what the wire page says: English, then Chinese."""

    tag: str
    attribute: str
    kind: Kind
    meaning: str
    occurs: Occurs = Occurs.ONE
    absent: Any = None
    limit: int = 1
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{{{NAMESPACE}}}{self.tag}")

    def read(self, element: etree._Element) -> Any:
        """The element's value; raises ProtocolError with its path."""
        _check_attributes(element, self.kind.attributes)
        if len(element):
            raise ProtocolError(path_of(element[0]), "no element is allowed here, only text")
        return self.kind.read(element)

    def write(self, parent: etree._Element, value: Any) -> None:
        """Append the element that holds `value` to `parent`; raises ProtocolError or ValueError for a bad value."""
        self.kind.write(etree.SubElement(parent, self.name), value)


@dataclass(frozen=True, slots=True)
class Group:
    """An element with elements, in this order."""

    tag: str
    attribute: str
    make: type
    parts: tuple[Leaf | Group, ...]
    meaning: str
    occurs: Occurs = Occurs.ONE
    absent: Any = None
    limit: int = 1
    name: str = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{{{NAMESPACE}}}{self.tag}")
        object.__setattr__(self, "names", frozenset(part.name for part in self.parts))
        if len(self.names) != len(self.parts):
            raise ValueError(f"{self.tag}: a tag stands twice in the table")
        if not is_dataclass(self.make) or [f.name for f in fields(self.make)] != [p.attribute for p in self.parts]:
            raise ValueError(f"{self.tag}: the table and the fields of {self.make.__name__} differ")

    def read(self, element: etree._Element) -> Any:
        """The element as a value of `make`; raises ProtocolError with the path of what is wrong."""
        _check_attributes(element, _NO_ATTRIBUTES)
        _check_white_space(element)
        values = {part.attribute: value for part, value in self._read_parts(element)}
        try:
            return self.make(**values)
        except ProtocolError:
            raise
        except ValueError as error:
            raise ProtocolError(path_of(element), str(error)) from None

    def _read_parts(self, element: etree._Element) -> Iterator[tuple[Leaf | Group, Any]]:
        position = 0
        count = len(element)
        for part in self.parts:
            found: list[Any] = []
            most = part.limit if part.occurs is Occurs.MANY else 1
            while position < count and element[position].tag == part.name and len(found) < most:
                found.append(part.read(element[position]))
                position += 1
            yield part, self._settled(part, found, element, position)
        if position < count:
            raise self._misplaced(element[position])

    def _settled(self, part: Leaf | Group, found: list[Any], element: etree._Element, position: int) -> Any:
        if part.occurs is Occurs.MANY:
            return tuple(found)
        if found:
            return found[0]
        if part.occurs is Occurs.OPTIONAL:
            return part.absent
        if position < len(element) and (element[position].tag not in self.names or _is_repeated(element[position])):
            raise self._misplaced(element[position])
        later = any(child.tag == part.name for child in element)
        what = f"{part.tag} is out of order" if later else f"{part.tag} is missing"
        raise ProtocolError(f"{path_of(element)}/{part.tag}", f"{what}; the order is {self._order()}")

    def _misplaced(self, child: etree._Element) -> ProtocolError:
        if child.tag not in self.names:
            return ProtocolError(path_of(child), f"unknown element; allowed here: {self._order()}")
        if _is_repeated(child):
            part = next(part for part in self.parts if part.name == child.tag)
            return ProtocolError(path_of(child), f"{local_name(child)} is repeated; at most {part.limit} allowed")
        return ProtocolError(path_of(child), f"{local_name(child)} is out of order; the order is {self._order()}")

    def _order(self) -> str:
        return ", ".join(part.tag for part in self.parts)

    def write(self, parent: etree._Element, value: Any) -> None:
        """Append the element that holds `value` to `parent`; raises ProtocolError or ValueError for a bad value."""
        self.write_into(etree.SubElement(parent, self.name), value)

    def write_into(self, element: etree._Element, value: Any) -> None:
        """Put the parts of `value` into `element`."""
        if not isinstance(value, self.make):
            raise TypeError(f"{self.tag}: {self.make.__name__} expected, not {type(value).__name__}")
        for part in self.parts:
            held = getattr(value, part.attribute)
            if part.occurs is Occurs.MANY:
                self._write_many(element, part, held)
            elif part.occurs is Occurs.ONE or held != part.absent:
                part.write(element, held)

    def _write_many(self, element: etree._Element, part: Leaf | Group, held: tuple[Any, ...]) -> None:
        if len(held) > part.limit:
            raise ValueError(f"{self.tag}: at most {part.limit} {part.tag}, not {len(held)}")
        for one in held:
            part.write(element, one)


def _is_repeated(child: etree._Element) -> bool:
    previous = child.getprevious()
    return previous is not None and previous.tag == child.tag


def _check_attributes(element: etree._Element, allowed: frozenset[str]) -> None:
    if not allowed.issuperset(element.keys()):
        raise ProtocolError(path_of(element), "an attribute that is not allowed here")


def _check_white_space(element: etree._Element) -> None:
    if element.text and element.text.strip():
        raise ProtocolError(path_of(element), "no text is allowed here")
    for child in element:
        if child.tail and child.tail.strip():
            raise ProtocolError(path_of(element), "no text is allowed here")
