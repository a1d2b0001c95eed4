"""The demo's other processes: the gateway and the simulated banks, started as anybody would start them.

Strategy: real processes and real sockets. The gateway says where it listens in one JSON line; a bank says how far it
is in JSON lines, and its tally at the end. Whatever happens, every process that was started here is ended here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 40.0


class DemoError(Exception):
    """The demo can't go on; the text is one line and says where to look."""


def _busbar(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "busbar", *arguments]


@asynccontextmanager
async def gateway(installation: Path, log_file: Path) -> AsyncIterator[dict[str, str]]:
    """A running gateway; gives its addresses by name ("http", "iso8583 GZB")."""
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *_busbar("serve", "--installation", str(installation), "--ready-json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_SECONDS)
            addresses: dict[str, str] = json.loads(line)["addresses"]
        except (TimeoutError, ValueError, KeyError):
            raise DemoError(f"the gateway did not start; read {log_file}") from None
        yield addresses
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Day:
    """A bank's day: its clearing date, the visits, after how many of them it waits for the others, and whether the
    bank signs off for good at its end.
    """

    clearing_date: date
    visits: int
    wait_after: int
    is_last: bool


async def play(
    setup: Path,
    day: Day,
    log_file: Path,
    progress: Callable[[int], None],
    may_go_on: Callable[[], Awaitable[object]],
) -> dict[str, Any]:
    """One bank's day; `progress` gets the visits done, `may_go_on` is awaited after `day.wait_after` of them.

    Returns the bank's own account of the day.
    """
    arguments = ["bank", "play", "--setup", str(setup)]
    arguments += ["--visits", str(day.visits), "--wait-after", str(day.wait_after)]
    arguments += ["--date", day.clearing_date.isoformat(), *(["--last-day"] if day.is_last else [])]
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *_busbar(*arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    played: dict[str, Any] | None = None
    try:
        assert process.stdin is not None  # noqa: S101 - both were asked for
        assert process.stdout is not None  # noqa: S101
        async for line in process.stdout:
            told = json.loads(line)
            if told["event"] == "waiting":
                await may_go_on()
                process.stdin.write(b"\n")
            elif told["event"] == "progress":
                progress(told["done"])
            elif told["event"] == "played":
                played = told
        await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)
    if played is None:
        raise DemoError(f"a bank broke off its day; read {log_file}")
    return played


async def write_file(
    setup: Path, clearing_date: date, folder: Path, log_file: Path, *, with_next: bool
) -> dict[str, Any]:
    """Let a bank write its settlement file with planted differences; returns what it planted."""
    arguments = ["bank", "file", "--setup", str(setup), "--date", clearing_date.isoformat()]
    arguments += ["--folder", str(folder), "--plant", *(["--next-day-too"] if with_next else [])]
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(*_busbar(*arguments), stdout=asyncio.subprocess.PIPE, stderr=log)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise DemoError(f"a bank could not write its settlement file; read {log_file}")
    result: dict[str, Any] = json.loads(output)
    return result
