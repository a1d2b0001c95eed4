"""The page that banks write their client from says what the code does."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from protocols.iso8583 import mac_field
from protocols.iso8583.codec import decode
from protocols.iso8583.dialects.guangzhou import GUANGZHOU, REQUIRED
from protocols.iso8583.framing import FrameReader
from protocols.signing.macs import MacAlgorithm


def _generator() -> ModuleType:
    path = Path(__file__).with_name("wire_page.py")
    spec = importlib.util.spec_from_file_location("wire_page_generator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
PAGE: str = GENERATOR.PAGE.read_text("utf-8")


def test_the_page_is_what_the_code_does() -> None:
    assert GENERATOR.render(PAGE) == PAGE, "run: .venv/bin/python tests/protocols/iso8583/wire_page.py"


@pytest.mark.parametrize("name", GENERATOR.BLOCKS)
def test_a_stale_block_would_be_noticed(name: str) -> None:
    end = f"<!-- {name}: end -->"
    assert GENERATOR.render(PAGE.replace(end, f"stale\n{end}")) == PAGE
    with pytest.raises(ValueError, match=name):
        GENERATOR.render(PAGE.replace(end, ""))


def _frames() -> list[bytes]:
    """The frames as a reader of the page would copy them: hexadecimal lines up to the first empty line."""
    blocks = re.findall(r"^```\n((?:[0-9A-F]+\n)+)\n", PAGE, re.MULTILINE)
    reader = FrameReader()
    reader.receive_data(bytes.fromhex("".join(blocks)))
    frames = []
    while isinstance(frame := reader.next_frame(), bytes):
        frames.append(frame)
    reader.receive_end()
    return frames


def test_every_sample_copied_from_the_page_is_a_frame_with_a_right_mac() -> None:
    wrong = []
    types = set()
    for frame in _frames():
        types.add(frame[:2].hex())
        try:
            mac_field.check(frame, decode(frame, GUANGZHOU), GUANGZHOU, MacAlgorithm.X9_19, GENERATOR.KEY)
        except ValueError as error:
            wrong.append(str(error))
    assert types == REQUIRED.keys()
    # The two samples that are there to be refused.
    assert wrong == ["field 128: the MAC is wrong", "field 2 length at byte 18: not BCD: a nibble is above 9"]
