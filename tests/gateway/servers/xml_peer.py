"""A bank's end of XML over HTTP, for tests: signed requests, and answers whose signature is checked."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from lxml import etree

from gateway.keyring import Keyring
from protocols import xml
from protocols.bankxml import codec
from protocols.bankxml.messages import (
    BankXmlMessage,
    BillEnquiryRequest,
    Bills,
    Header,
    Original,
    PaymentRequest,
    Request,
    StatusEnquiryRequest,
    UndoRequest,
)
from protocols.money import Money
from protocols.signing import xmldsig

NAMESPACE = "urn:busbar:bankxml:1"


@dataclass(frozen=True, slots=True)
class XmlPeer:
    """Makes and signs requests at a moment; `key_id` signs."""

    now: datetime
    customer_no: str
    keyring: Keyring
    key_id: str = "bank"

    def body(self, message_type: str, trace_no: str = "T1") -> Request:
        day = self.now.date()
        original = Original(day, "T1")
        bodies: dict[str, Request] = {
            "bill.enquiry.req": BillEnquiryRequest(day, trace_no, self.customer_no, Bills(all_bills=True)),
            "payment.req": PaymentRequest(
                day,
                trace_no,
                self.customer_no,
                Bills(all_bills=True),
                Money(12345),
                self.now,
                "MOBILE_BANK",
                "TRANSFER",
            ),
            "cancel.req": UndoRequest(day, trace_no, self.customer_no, original, Money(12345)),
            "reversal.req": UndoRequest(day, trace_no, self.customer_no, original, Money(12345)),
            "status.enquiry.req": StatusEnquiryRequest(day, trace_no, self.customer_no, original, True),
        }
        return bodies[message_type]

    def tree(self, message_type: str = "payment.req", trace_no: str = "T1", **header: object) -> etree._Element:
        """An unsigned request; `header` replaces fields of its header."""
        base = Header(
            version="1",
            message_type=message_type,
            sender="YYB",
            receiver="UTILITY",
            message_id=secrets.token_hex(8),
            original_message_id=None,
            sent_at=self.now,
            clearing_date=None,
            key_id=self.key_id,
            nonce=secrets.token_hex(16),
        )
        made = replace(base, **header)  # type: ignore[arg-type]
        return codec.build(BankXmlMessage(made, self.body(message_type, trace_no)))

    def signed(self, tree: etree._Element) -> bytes:
        return xmldsig.sign(tree, self.keyring.signing_key(self.key_id))

    def request(self, message_type: str = "payment.req", trace_no: str = "T1", **header: object) -> bytes:
        return self.signed(self.tree(message_type, trace_no, **header))

    def opened(self, body: bytes, key_id: str = "utility") -> BankXmlMessage:
        """An answer; raises SignatureError where it was not signed with the utility's key."""
        return codec.parse(xmldsig.verify(xml.parse(body), self.keyring.verifying_key(key_id)))


def element(tree: etree._Element, tag: str) -> etree._Element:
    """The only element of that name."""
    (found,) = tree.iter(f"{{{NAMESPACE}}}{tag}")
    return found
