"""The wire page and the sample files can't go stale: everything on them that can be computed is computed here.

`docs/wire/bankxml.md` is prose with generated parts between `<!-- generated: NAME -->` and `<!-- end -->`. This file
makes the parts and the signed samples in `fixtures/bankxml/`, and compares. After a wanted change, write them anew:

    BUSBAR_WRITE_WIRE_PAGE=1 .venv/bin/pytest tests/protocols/bankxml/test_wire_page.py

The samples are signed with computed keys (see `conftest.py`), so writing them anew changes nothing but what changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode
from pathlib import Path

import pytest
import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from gateway.channels.bankxml_codes import CODES, SUCCESS_CODE
from gateway.outcomes import Reason
from protocols import xml
from protocols.bankxml import messages as m
from protocols.bankxml import tables
from protocols.bankxml.codec import build, parse
from protocols.bankxml.elements import Group, Leaf, Occurs
from protocols.signing.keys import SigningKey, load_verifying_key
from protocols.signing.xmldsig import sign, verify

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "wire" / "bankxml.md"
SAMPLES = ROOT / "fixtures" / "bankxml"
WRITE = os.environ.get("BUSBAR_WRITE_WIRE_PAGE") == "1"
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)

# Made before the ledger looks at the trace: see the page, "Refused message or refused operation".
MESSAGE_REFUSALS = (
    Reason.UNREADABLE,
    Reason.SIGNATURE_INVALID,
    Reason.FORMAT_ERROR,
    Reason.REPLAYED,
    Reason.BAD_OPERATION,
    Reason.DATE_INVALID,
    Reason.AMOUNT_INVALID,
)


@pytest.fixture(scope="module")
def samples(examples: dict[str, m.BankXmlMessage], bank_key: SigningKey, utility_key: SigningKey) -> dict[str, bytes]:
    """The files of `fixtures/bankxml/`: one signed message of every type, and the two public keys."""
    files = {}
    for name, message in examples.items():
        root = build(message)
        etree.indent(root)
        files[f"{name}.xml"] = sign(root, bank_key if name.endswith(".req") else utility_key) + b"\n"
    files["bank0002-2024.pem"] = bank_key.verifying().pem()
    files["utility-2024.pem"] = utility_key.verifying().pem()
    return files


def element_rows(parts: tuple[Leaf | Group, ...], indent: int = 0) -> list[str]:
    rows = []
    for part in parts:
        occurs = part.occurs.value if part.occurs is not Occurs.MANY else f"0..{part.limit}"
        holds = "elements" if isinstance(part, Group) else part.kind.description.replace("|", "\\|")
        rows.append(f"| {'&nbsp;&nbsp;' * indent}`{part.tag}` | {occurs} | {holds} | {part.meaning} |")
        if isinstance(part, Group):
            rows += element_rows(part.parts, indent + 1)
    return rows


def element_table(group: Group) -> str:
    head = ["| Element | Times | Holds | Meaning |", "|---|---|---|---|"]
    return "\n".join(head + element_rows(group.parts))


def messages_part(samples: dict[str, bytes]) -> str:
    sections = []
    for number, (name, group) in enumerate(tables.BODIES.items(), 1):
        sample = samples[f"{name}.xml"].decode().rstrip("\n")
        title = f"### 6.{number} `{name}`: {group.meaning}"
        sections.append(f"{title}\n\n{element_table(group)}\n\n```xml\n{sample}\n```")
    return "\n\n".join(sections)


def code_rows() -> list[str]:
    rows = [f"| `{SUCCESS_CODE}` | `success` | operation | success | 成功 |"]
    for reason, code in CODES.items():
        about = "message" if reason in MESSAGE_REFUSALS else "operation"
        rows.append(f"| `{code}` | `{reason.outcome_class.value}` | {about} | {reason.english} | {reason.chinese} |")
    return rows


def codes_part() -> str:
    return "\n".join(["| `Cd` | `Cls` | Speaks of the | Meaning | 说明 |", "|---|---|---|---|---|", *code_rows()])


def keys_part(samples: dict[str, bytes]) -> str:
    blocks = []
    for name, whose in (("bank0002-2024", "the sample bank"), ("utility-2024", "the utility in the samples")):
        pem = samples[f"{name}.pem"].decode().rstrip("\n")
        fingerprint = load_verifying_key(samples[f"{name}.pem"], name).fingerprint()
        blocks.append(f"`{name}`, {whose}; SHA-256 of the DER key: `{fingerprint}`\n\n```\n{pem}\n```")
    return "\n\n".join(blocks)


def canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def signature_part(samples: dict[str, bytes]) -> str:
    root = etree.fromstring(samples["status.enquiry.req.xml"])
    signature = root[-1]
    signed_info = canonical(signature[0])
    root.remove(signature)
    document = canonical(root)
    digest = b64encode(hashlib.sha256(document).digest()).decode()
    return (
        f"Step 2, the canonical document ({len(document)} bytes):\n\n```xml\n{document.decode()}\n```\n\n"
        f"Step 3, its SHA-256 in base64: `{digest}`\n\n"
        f"Step 5, the canonical `SignedInfo` ({len(signed_info)} bytes, one line):\n\n"
        f"```xml\n{signed_info.decode()}\n```\n\n"
        f"Step 6, its RSA signature in base64:\n\n```\n{signature[1].text}\n```"
    )


def page_parts(samples: dict[str, bytes]) -> dict[str, str]:
    return {
        "header": element_table(tables.HEADER),
        "channels": ", ".join(f"`{name}`" for name in tables.CHANNELS),
        "settle-methods": ", ".join(f"`{name}`" for name in tables.SETTLE_METHODS),
        "signature": signature_part(samples),
        "messages": messages_part(samples),
        "codes": codes_part(),
        "keys": keys_part(samples),
    }


def test_the_page_is_what_the_code_says(samples: dict[str, bytes]) -> None:
    parts = page_parts(samples)
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(found[1] for found in _PART.findall(text)) == sorted(parts)
    expected = _PART.sub(lambda match: match[1] + parts[match[2]] + match[3], text)
    if WRITE:
        PAGE.write_text(expected, encoding="utf-8")
        text = expected
    assert text == expected, "the page is stale: see the docstring of this test for how to write it anew"


def test_the_sample_files_are_what_the_code_says(samples: dict[str, bytes]) -> None:
    if WRITE:
        for name, data in samples.items():
            (SAMPLES / name).write_bytes(data)
    assert {path.name for path in SAMPLES.iterdir()} == {*samples, "README.md"}
    for name, data in samples.items():
        assert (SAMPLES / name).read_bytes() == data, name


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_a_sample_is_accepted(message_type: str, examples: dict[str, m.BankXmlMessage]) -> None:
    """From the files alone, as a bank has them: verified with the published key, parsed, and what was meant."""
    key_id = "bank0002-2024" if message_type.endswith(".req") else "utility-2024"
    key = load_verifying_key((SAMPLES / f"{key_id}.pem").read_bytes(), key_id)
    root = xml.parse((SAMPLES / f"{message_type}.xml").read_bytes())
    assert parse(verify(root, key)) == examples[message_type]


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_xmlsec_accepts_a_sample(message_type: str) -> None:
    key_id = "bank0002-2024" if message_type.endswith(".req") else "utility-2024"
    root = etree.parse(SAMPLES / f"{message_type}.xml").getroot()
    context = xmlsec.SignatureContext()
    pem = (SAMPLES / f"{key_id}.pem").read_bytes()
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    context.verify(xmlsec.tree.find_node(root, xmlsec.constants.NodeSignature))


def test_the_steps_of_the_page_make_the_signature(samples: dict[str, bytes], bank_key: SigningKey) -> None:
    """The page's own recipe, followed with a canonicaliser, SHA-256 and RSA alone, gives the sample's signature."""
    blocks = re.findall(r"```(?:xml)?\n(.*?)\n```", signature_part(samples), re.DOTALL)
    document, signed_info, signature = blocks
    assert b64encode(hashlib.sha256(document.encode()).digest()) in signed_info.encode()
    made = bank_key.private.sign(signed_info.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert b64encode(made).decode() == signature


def test_no_private_key_is_published() -> None:
    for path in (PAGE, *SAMPLES.iterdir()):
        assert b"PRIVATE" not in path.read_bytes(), path
