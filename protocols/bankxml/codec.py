"""XML tree to message and back.

Strategy: three functions. `read_claim` takes from a tree, before its signature is verified, the few words that say
whose key to try and whom to answer; it believes nothing and fails at nothing. `parse` takes a tree whose signature was
verified (the tree that `xmldsig.verify` gave back) and gives a message or one ProtocolError. `build` gives the tree
that `xmldsig.sign` signs. A message that is built can be parsed again, and is then equal (times to the millisecond).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from protocols.bankxml import tables
from protocols.bankxml.elements import NAMESPACE
from protocols.bankxml.kinds import Kind
from protocols.bankxml.messages import BankXmlMessage
from protocols.errors import ProtocolError
from protocols.xml import path_of

_MSG = f"{{{NAMESPACE}}}Msg"
_NAMESPACES: Any = {None: NAMESPACE}  # the stubs know no default namespace


class MessageTypeError(ProtocolError):
    """The message type is none of this profile's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an unverified message says of itself; None where it is absent or malformed. For choosing a key, no more."""

    sender: str | None
    key_id: str | None
    message_id: str | None
    message_type: str | None


def read_claim(root: etree._Element) -> Claim:
    """The claim of any tree, however wrong it is; never raises ProtocolError."""
    header = root.find(tables.HEADER.name)
    return Claim(
        sender=_claimed(header, "Sndr", tables.PARTY),
        key_id=_claimed(header, "KeyId", tables.KEY_ID),
        message_id=_claimed(header, "MsgId", tables.MESSAGE_ID),
        message_type=_claimed(header, "MsgTp", tables.MESSAGE_TYPE),
    )


def _claimed(header: etree._Element | None, tag: str, kind: Kind) -> str | None:
    element = None if header is None else header.find(f"{{{NAMESPACE}}}{tag}")
    if element is None:
        return None
    try:
        return str(kind.read(element))
    except ProtocolError:
        return None


def parse(root: etree._Element) -> BankXmlMessage:
    """A verified tree to its message; raises ProtocolError with the path of what is wrong.

    MoneyError and DateError tell bad amounts and dates apart, MessageTypeError an unknown type.
    """
    if root.tag != _MSG:
        raise ProtocolError(path_of(root), f"the root must be Msg of the namespace {NAMESPACE}")
    if root.keys() or (root.text or "").strip() or any((child.tail or "").strip() for child in root):
        raise ProtocolError(path_of(root), "Msg has no attributes and no text")
    if len(root) != 2 or root[0].tag != tables.HEADER.name or root[1].tag != f"{{{NAMESPACE}}}Body":
        raise ProtocolError(path_of(root), "Msg holds Hdr, Body and the signature, in this order and nothing else")
    header = tables.HEADER.read(root[0])
    body = tables.BODIES.get(header.message_type)
    if body is None:
        raise MessageTypeError(f"{path_of(root[0])}/MsgTp", f"unknown; one of {', '.join(tables.BODIES)} expected")
    return BankXmlMessage(header, body.read(root[1]))


def build(message: BankXmlMessage) -> etree._Element:
    """A message to its unsigned tree.

    A value that could not be read again is a mistake of the caller: ProtocolError, ValueError or TypeError.
    """
    root = etree.Element(_MSG, nsmap=_NAMESPACES)
    tables.HEADER.write(root, message.header)
    tables.BODIES[message.header.message_type].write(root, message.body)
    return root
