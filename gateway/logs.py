"""Logs: one JSON object a line on standard error, with nothing secret in it.

Strategy: two nets, one behind the other. Fields are masked by their name (`customer_no`, `name`, `key`, …), whatever
they hold; and in every text that is left, a run of 13 to 19 digits is taken for an account number and shown as its
first six and last four (longer runs are hidden as wholes). Fields of our own making that hold long numbers on purpose
(`trace_id`, `trace_no`, times) are named and left alone. Bytes are never shown, only counted.

What belongs to one request shares a `trace_id`, bound with `structlog.contextvars` where the frame is received and
kept by every task that is started from there. Lines of the standard library's loggers (aiohttp, asyncio) pass the same
nets.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from gateway import clock

MASK = "***"
# Whole names and ends of names ("mac_key", "customer_name") whose values are never shown.
_SECRET_NAMES = frozenset(
    (
        *("customer_no", "customer", "payment_no", "account", "account_no", "card", "name", "address", "operator"),
        *("key", "mac", "password", "secret", "pin", "dsn", "nonce", "signature", "digest"),
        *("request", "content", "frame", "payload", "body", "fields"),
    )
)
_SECRET_ENDS = ("_account", "_name", "_address", "_key", "_mac", "_password", "_secret", "_pin", "_dsn")
# Ours, and made of digits or hexadecimal: masking them would break what they are for.
_DIGITS_TOLERATED = frozenset(("trace_id", "trace_no", "timestamp", "reference_no", "key_id"))
_LONG_DIGITS = re.compile(r"(?<![0-9])[0-9]{13,}(?![0-9])")
_ACCOUNT_DIGITS = 19
_HEAD, _TAIL = 6, 4
_DEPTH_LIMIT = 6


def mask_digits(text: str) -> str:
    """`text` with account-like runs of digits masked: 13 to 19 keep six and four, longer ones nothing."""
    return _LONG_DIGITS.sub(_masked_run, text)


def _masked_run(match: re.Match[str]) -> str:
    run = match.group()
    if len(run) > _ACCOUNT_DIGITS:
        return "*" * len(run)
    return run[:_HEAD] + "*" * (len(run) - _HEAD - _TAIL) + run[-_TAIL:]


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is masked as a whole."""
    lowered = name.lower()
    return lowered in _SECRET_NAMES or lowered.endswith(_SECRET_ENDS)


def mask_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: the event with every field masked by its name and content."""
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = _masked(name, value, _DEPTH_LIMIT)
    return event


def _masked(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return value if name in _DIGITS_TOLERATED else mask_digits(value)
    if isinstance(value, int | float):
        return value if abs(value) < 10**12 or name in _DIGITS_TOLERATED else mask_digits(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if depth == 0:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, item, depth - 1) for item in value]
    return mask_digits(str(value))


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = clock.now().isoformat(timespec="milliseconds")
    return event


def _exception_place(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback as frames only: messages of foreign exceptions may quote values, so the last line is the type."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if info is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["error"] = type(error).__qualname__
        event["error_text"] = str(error)
        event["at"] = _frames(error)
    return event


def _frames(error: BaseException, limit: int = 12) -> list[str]:
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}.{code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-limit:]


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's root logger; `stream` is standard error unless given."""
    out = stream if stream is not None else sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp,
        _exception_place,
        mask_event,
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
