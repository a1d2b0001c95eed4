"""Servers on loopback with real sockets and real keys, on a made-up ledger."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from gateway import logs
from gateway.keyring import new_mac_key, new_rsa_key

from .world import Played, make


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops: the product runs on uvloop, whose transports differ in details."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    new_mac_key(folder, "gzb")
    for key_id in ("bank", "bank-next", "utility", "other"):
        new_rsa_key(folder, key_id)
    return folder


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.fixture
async def play(key_folder: Path, log_stream: io.StringIO) -> AsyncIterator[Callable[..., Any]]:
    """`await play(**changes)` starts a world; it is stopped when the test ends."""
    started: list[Played] = []

    async def start(**changes: Any) -> Played:
        world = make(key_folder, log_stream, **changes)
        world.iso_address = await world.iso_server.start()
        host, port = await world.http_server.start()
        world.http_address = f"http://{host}:{port}"
        started.append(world)
        return world

    yield start
    for world in started:
        world.ledger.gate.set()
        await world.iso_server.stop(2)
        await world.http_server.stop(2)
        await world.handler.drain(2)


@pytest.fixture
async def played(play: Callable[..., Any]) -> Played:
    world: Played = await play()
    return world
