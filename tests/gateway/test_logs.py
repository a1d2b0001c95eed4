"""Logs are JSON lines in which no secret can be found."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    out = io.StringIO()
    logs.configure(out)
    yield out
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = before


def last(stream: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


SECRET_FIELDS = [
    "customer_no",
    "payment_no",
    "account",
    "payer_account",
    "name",
    "customer_name",
    "address",
    "supply_address",
    "key",
    "mac_key",
    "mac",
    "password",
    "gateway_password",
    "database_dsn",
    "pin",
    "request",
    "frame",
    "signature",
    "nonce",
    "Operator",
]


@pytest.mark.parametrize("field", SECRET_FIELDS)
@pytest.mark.parametrize("value", ["张三", 12345, b"\x01\x02", ["a", "b"], {"x": "y"}])
def test_fields_are_masked_by_name(stream: io.StringIO, field: str, value: object) -> None:
    structlog.get_logger().info("x", **{field: value})
    assert last(stream)[field] == "***"


def test_fields_inside_fields_are_masked(stream: io.StringIO) -> None:
    structlog.get_logger().info("x", detail={"bank": "GZB", "inner": [{"account": "1", "n": 5}]})
    assert last(stream)["detail"] == {"bank": "GZB", "inner": [{"account": "***", "n": 5}]}


TEXTS = [
    ("paid from 6222000000000001234 today", "paid from 622200*********1234 today"),
    ("1234567890123", "123456***0123"),
    ("号6222000000000001号", "号622200******0001号"),
    ("12345678901234567890", "*" * 20),
    ("123456789012", "123456789012"),
    ("20240405 112854", "20240405 112854"),
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_runs_of_digits_are_masked(stream: io.StringIO, text: str, shown: str) -> None:
    assert logs.mask_digits(text) == shown
    structlog.get_logger().info(text, note=text, items=[text])
    assert (last(stream)["event"], last(stream)["note"], last(stream)["items"]) == (shown, shown, [shown])


def test_numbers_are_masked_like_texts_and_ours_are_left(stream: io.StringIO) -> None:
    structlog.get_logger().info("x", n=6222000000000001, trace_no="1234567890123456", trace_id="1" * 16, size=b"abc")
    line = last(stream)
    assert line["n"] == "622200******0001"
    assert line["trace_no"] == "1234567890123456"
    assert line["trace_id"] == "1" * 16
    assert line["size"] == "3 bytes"


@given(st.integers(10**12, 10**19 - 1), st.text(alphabet="ab ,.", max_size=5))
def test_no_account_survives(number: int, around: str) -> None:
    shown = logs.mask_digits(f"{around}{number}{around}")
    assert str(number) not in shown
    assert len(shown) == len(f"{around}{number}{around}")


def test_the_trace_id_is_in_every_line_of_a_request(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(trace_id="abc", bank="GZB"):
        structlog.get_logger("gateway.services").warning("x")
        logging.getLogger("aiohttp.server").error("failed for %s", "6222000000000001")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["trace_id"], first["bank"], first["level"]) == ("abc", "GZB", "warning")
    assert (second["trace_id"], second["logger"]) == ("abc", "aiohttp.server")
    assert second["event"] == "failed for 622200******0001"


@pytest.mark.parametrize("use_stdlib", [False, True])
def test_exceptions_show_where_and_no_values(stream: io.StringIO, use_stdlib: bool) -> None:
    def fail(account: str) -> None:
        raise ValueError(f"no such account {account}")

    try:
        fail("6222000000000001")
    except ValueError as error:
        if use_stdlib:
            logging.getLogger("asyncio").error("boom", exc_info=error)
        else:
            structlog.get_logger().error("boom", exc_info=error)
    line = last(stream)
    assert line["error"] == "ValueError"
    assert any("fail" in place for place in line["at"])
    assert "6222000000000001" not in stream.getvalue()


def test_lines_are_single_and_chinese_is_readable(stream: io.StringIO) -> None:
    structlog.get_logger().info("银行甲", note="two\nlines")
    assert stream.getvalue().count("\n") == 1
    assert "银行甲" in stream.getvalue()


def test_debug_is_off_and_foreign_info_too(stream: io.StringIO) -> None:
    structlog.get_logger().debug("x")
    logging.getLogger("aiohttp.access").info("GET /")
    assert stream.getvalue() == ""
