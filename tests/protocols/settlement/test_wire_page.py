"""The page that banks make their files from says what the code does, and its samples pass the checks."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocols.settlement.checks import Expected, check_file
from protocols.settlement.layouts import BIL, PIPE
from protocols.settlement.names import SIG_SUFFIX, parse_name
from protocols.signing.detached import TrustedKey


def _generator() -> ModuleType:
    path = Path(__file__).with_name("wire_page.py")
    spec = importlib.util.spec_from_file_location("settlement_wire_page_generator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
PAGE: str = GENERATOR.PAGE.read_text("utf-8")
SAMPLES: Path = GENERATOR.SAMPLES
AGAIN = "run: .venv/bin/python tests/protocols/settlement/wire_page.py"


def test_the_page_is_what_the_code_does() -> None:
    assert GENERATOR.render(PAGE) == PAGE, AGAIN


@pytest.mark.parametrize("name", GENERATOR.BLOCKS)
def test_a_stale_block_would_be_noticed(name: str) -> None:
    start = f"<!-- generated: {name} -->\n"
    assert GENERATOR.render(PAGE.replace(start, f"{start}stale\n")) == PAGE
    with pytest.raises(ValueError, match=name):
        GENERATOR.render(PAGE.replace(start, ""))


@pytest.mark.parametrize("name", GENERATOR.MADE)
def test_a_sample_file_is_what_the_writer_writes(name: str) -> None:
    assert (SAMPLES / name).read_bytes() == GENERATOR.MADE[name](), AGAIN


def test_no_sample_is_forgotten() -> None:
    """A file that no test reads proves nothing."""
    known = {*GENERATOR.SIGNED, *(name + SIG_SUFFIX for name in GENERATOR.SIGNED), GENERATOR.PUBLISHED_BIL}
    known |= {GENERATOR.KEY_FILE.name, "README.md", ".gitattributes"}
    assert {path.name for path in SAMPLES.iterdir()} == known


@pytest.mark.parametrize("name", GENERATOR.SIGNED)
def test_a_sample_taken_from_the_page_passes_every_check(name: str) -> None:
    """As a bank's engineer would: the text of the page with CRLF, the `.sig` and the key of the page."""
    blocks = dict(re.findall(r"^`([^`]+)`[^\n]*:\n\n```\n(.*?)\n```", PAGE, re.DOTALL | re.MULTILINE))
    content = (blocks[name] + "\n").replace("\n", "\r\n").encode("gbk")
    key_text = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", PAGE, re.DOTALL)
    assert key_text is not None
    public = load_pem_public_key(key_text[0].encode())
    assert isinstance(public, rsa.RSAPublicKey)
    layout = GENERATOR.SIGNED[name]
    parsed = parse_name(name, layout)
    verdict = check_file(
        name,
        layout,
        GENERATOR.ZONE,
        Expected(bank=parsed.bank, clearing_date=parsed.clearing_date),
        sig=(blocks[name + SIG_SUFFIX] + "\n").encode(),
        key=TrustedKey(GENERATOR.KEY_ID, public),
        open_chunks=lambda: [content],
    )
    assert [str(failure) for failure in verdict.failures] == []
    assert verdict.duplicates == ()
    assert content == (SAMPLES / name).read_bytes()


def test_the_published_bil_sample_is_known_to_be_shortened() -> None:
    """Its header counts two entries of 200.00 in all; it shows one, of another clearing date."""
    name = GENERATOR.PUBLISHED_BIL
    parsed = parse_name(name, BIL)
    verdict = check_file(
        name,
        BIL,
        GENERATOR.ZONE,
        Expected(bank="315810", clearing_date=parsed.clearing_date),
        sig=GENERATOR.make_sig(GENERATOR.statement(name, BIL)),
        key=None,
        open_chunks=lambda: [(SAMPLES / name).read_bytes()],
    )
    assert [failure.code.value for failure in verdict.failures] == ["HEADER_COUNT", "HEADER_AMOUNT", "ENTRY_DATE"]


def test_every_column_is_explained() -> None:
    assert PIPE.trailer is not None
    records = (PIPE.header, PIPE.detail, PIPE.trailer.record, BIL.header, BIL.detail)
    used = {column.name for record in records for column in record.columns}
    assert used == set(GENERATOR.MEANINGS)


def test_no_private_key_is_published() -> None:
    assert "PRIVATE" not in PAGE
    assert all(b"PRIVATE" not in path.read_bytes() for path in SAMPLES.iterdir())
