"""The one place where XML is parsed.

Strategy: refuse first, parse second, and hand out an element tree that holds nothing but elements, attributes and
text. The rules, in the order in which they are checked:

1. Size. A document over `max_bytes` is refused unread: parsing costs time and about ten times its size in memory.
2. Encoding. UTF-8 only, declared or not. A document in UTF-16, UTF-7 or EBCDIC could hide the next rule's bytes.
3. No DOCTYPE, wherever it stands. Without one there are no entities to expand and no external files to fetch; the
   parser itself is told the same (no entities, no DTD, no network, no huge trees), so that two locks must fail.
4. Well-formedness, by libxml2. Its messages may quote the document, so only its error name and position are passed on.
5. Depth and number of elements. No message of ours is deeper than 8; code that recurses may rely on it.
6. No comments and no processing instructions. A comment splits a text in two without changing its signature
   ("100<!-- -->0.00"), and no message needs either.

White space between elements is kept, since the signature covers it.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from protocols.errors import ProtocolError

MAX_BYTES = 1_048_576
"""One mebibyte: the longest reply (500 bills with their texts and a signature) is about a quarter of it."""
MAX_DEPTH = 16
"""Twice the deepest message (a signature's Transform is the 5th level)."""
MAX_ELEMENTS = 20_000
"""500 bills of 12 elements each, three times over."""

_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    recover=False,
    remove_blank_text=False,
    remove_comments=False,
    remove_pis=False,
    collect_ids=False,
)
_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*<")
_DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}?encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._-]+)["']""")
_ALLOWED_ENCODINGS = frozenset((b"utf-8", b"utf8"))
_HAS_COMMENT_OR_INSTRUCTION = etree.XPath("boolean(//comment() | //processing-instruction())")
_COUNT_ELEMENTS = etree.XPath("count(//*)")
_SHOWABLE_NAME = re.compile(r"[A-Za-z]{1,32}\Z")


def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


_TOO_DEEP = {MAX_DEPTH: _deeper_than(MAX_DEPTH)}


def parse(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> etree._Element:
    """Bytes to the root element; raises ProtocolError that names a byte, a line or a rule, never the content.

    The result holds elements, attributes and text only; a processing instruction, a comment or a DOCTYPE is refused.
    """
    _check_bytes(data, max_bytes)
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error) from None
    _check_tree(root, max_depth)
    return root


def _check_bytes(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise ProtocolError(f"byte {max_bytes}", f"the document has {len(data)} bytes, at most {max_bytes} are allowed")
    if not data.strip():
        raise ProtocolError("byte 0", "the document is empty")
    if b"\0" in data or _START.match(data) is None:
        raise ProtocolError("byte 0", "not an XML document in UTF-8")
    declared = _DECLARED_ENCODING.search(data, 0, 256)
    if declared is not None and declared.group(1).lower() not in _ALLOWED_ENCODINGS:
        raise ProtocolError("byte 0", "the declared encoding is not UTF-8")
    doctype = data.find(b"<!DOCTYPE")
    if doctype >= 0:
        raise ProtocolError(f"byte {doctype}", "a DOCTYPE is not allowed: send the document without one")


def _not_well_formed(error: etree.XMLSyntaxError) -> ProtocolError:
    line, column = error.position
    log: Any = error.error_log
    entry = log.last_error
    kind = "ERR_DOCUMENT" if entry is None else entry.type_name
    return ProtocolError(f"line {line} column {column}", f"not well-formed XML ({kind})")


def _check_tree(root: etree._Element, max_depth: int) -> None:
    info = root.getroottree().docinfo
    if info.internalDTD is not None or info.doctype:
        raise ProtocolError("byte 0", "a DOCTYPE is not allowed: send the document without one")
    if (info.encoding or "UTF-8").upper() not in ("UTF-8", "UTF8"):
        raise ProtocolError("byte 0", "the document is not in UTF-8")
    too_deep = _TOO_DEEP.get(max_depth) or _TOO_DEEP.setdefault(max_depth, _deeper_than(max_depth))
    if too_deep(root):
        raise ProtocolError(path_of(root), f"elements are nested deeper than {max_depth}")
    if _COUNT_ELEMENTS(root) > MAX_ELEMENTS:
        raise ProtocolError(path_of(root), f"more than {MAX_ELEMENTS} elements")
    if _HAS_COMMENT_OR_INSTRUCTION(root):
        raise ProtocolError(path_of(root), "comments and processing instructions are not allowed")


def local_name(element: etree._Element) -> str:
    """The tag without its namespace, or "*" where it is no plain name (a peer may put anything there)."""
    name = etree.QName(element).localname
    return name if _SHOWABLE_NAME.match(name) else "*"


def path_of(element: etree._Element) -> str:
    """Where an element stands, for errors: "/Msg/Body/Bill[2]/Ownd"; positions only where a name is repeated."""
    steps: list[str] = []
    node: etree._Element | None = element
    while node is not None:
        steps.append(_step(node))
        node = node.getparent()
    return "/" + "/".join(reversed(steps))


def _step(element: etree._Element) -> str:
    name = local_name(element)
    parent = element.getparent()
    if parent is None:
        return name
    same = [child for child in parent if child.tag == element.tag]
    return name if len(same) == 1 else f"{name}[{same.index(element) + 1}]"
