"""The gateway's only wiring: an installation becomes a ledger, a service and servers, and ends in good order.

Strategy: everything else is handed what it needs and knows nobody; who knows everybody is here. Starting goes ledger,
payment events, servers, "ready"; stopping goes the other way: accept no more, finish what is in flight (bounded), and
only then stop the lanes, so that no answer is lost that could be given. A start that fails half-way stops what had
started.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Protocol

import structlog
import uvloop

from gateway.banks.profile import BankXmlWire, Iso8583Wire
from gateway.config import Installation
from gateway.events.deliveries import delivering
from gateway.events.subscriber import subscribers_of
from gateway.ledger.decide import decide
from gateway.ledger.ledger import Ledger
from gateway.ledger.unresolved import UnresolvedBook
from gateway.metrics import Metrics
from gateway.servers.bankxml_exchange import BankXmlExchange
from gateway.servers.exchange import ServerLimits, Told, tell_nobody
from gateway.servers.http import HttpServer
from gateway.servers.iso8583_tcp import Iso8583Server
from gateway.services.handler import Handler, Submit
from gateway.services.unresolved import UnresolvedMoney

Addresses = Mapping[str, str]
"""Where we listen, "host:port": under "http", and under "iso8583 CODE" for each bank on that wire."""
Ready = Callable[[Addresses], None]
Health = Callable[[], Awaitable[str | None]]

_log: Any = structlog.get_logger("gateway.main")


class ListenError(OSError):
    """An address that we should listen on can't be had; the text is one line that says which and what to do."""


@asynccontextmanager
async def serving(
    installation: Installation, submit: Submit, health: Health, metrics: Metrics, told: Told = tell_nobody
) -> AsyncIterator[Addresses]:
    """Servers of every bank on the ledger behind `submit`, as long as the block runs; gives the addresses bound.

    `health` gives None where the ledger can be reached, else one line; `told` hears of every answer.
    Raises ListenError.
    """
    handler = Handler(submit, metrics)
    limits = installation.settings.limits
    servers = _servers(installation, health, handler, metrics, told)
    started: list[_Server] = []
    addresses: dict[str, str] = {}
    try:
        for name, server in servers.items():
            addresses[name] = await _start(name, server)
            started.append(server)
        yield addresses
    finally:
        # All at once, so that none goes on accepting; then what clients no longer wait for is finished.
        await asyncio.gather(*(server.stop(limits.stop_seconds) for server in started))
        await _drain(handler, limits.stop_seconds)


async def run(
    installation: Installation, database_dsn: str, *, ready: Ready, stop: asyncio.Event | None = None
) -> None:
    """Serve on the ledger at `database_dsn` (logged in as busbar_gateway) until SIGTERM, SIGINT or `stop`.

    `ready` is called once with the real addresses when everything listens. Raises ListenError, InstallationMismatch
    where the database was initialised otherwise, and DatabaseError where it can't be reached.
    """
    stopped = stop if stop is not None else asyncio.Event()
    metrics = Metrics()
    async with (
        Ledger(database_dsn, installation.partitions, rules=installation.rules, decide=decide) as ledger,
        delivering(database_dsn, installation.partitions, subscribers_of(installation), metrics),
        keeping_unresolved(installation, database_dsn, ledger, metrics) as unresolved,
        serving(installation, ledger.submit, _health_of(ledger), metrics, unresolved.told) as addresses,
    ):
        with _signals(stopped):
            _log.info("ready", banks=[bank.code for bank in installation.banks], addresses=dict(addresses))
            ready(addresses)
            await stopped.wait()
            _log.info("stopping")
    _log.info("stopped")


@asynccontextmanager
async def keeping_unresolved(
    installation: Installation, database_dsn: str, ledger: Ledger, metrics: Metrics
) -> AsyncIterator[UnresolvedMoney]:
    """Account of the answers that left an end in doubt, as long as the block runs; stops the ledger at its end."""
    book = UnresolvedBook(database_dsn, installation.partitions, ledger.home)
    await book.start()
    for bank in installation.banks:
        metrics.unresolved_open.labels(bank.code).set_function(partial(book.open_count, bank.code))
        metrics.unresolved_oldest_seconds.labels(bank.code).set_function(partial(book.oldest_seconds, bank.code))
    metrics.unresolved_dropped.set_function(lambda: book.dropped)
    try:
        yield UnresolvedMoney(book, commit_is_unknown=ledger.commit_is_unknown)
    finally:
        # The lanes first: what they can't finish is answered as unknown, and that is to be noted too.
        await ledger.stop()
        await book.stop()


def _health_of(ledger: Ledger) -> Health:
    async def health() -> str | None:
        return None if ledger.is_ready else "the ledger's database can't be reached"

    return health


def serve(installation: Installation, database_dsn: str, ready: Ready) -> None:
    """`run` on uvloop, until the process is told to stop."""
    uvloop.run(run(installation, database_dsn, ready=ready))


class _Server(Protocol):
    async def start(self) -> tuple[str, int]: ...
    async def stop(self, timeout_seconds: float) -> None: ...


def _servers(
    installation: Installation, health: Health, handler: Handler, metrics: Metrics, told: Told
) -> dict[str, _Server]:
    servers: dict[str, _Server] = {"http": _http_server(installation, health, handler, metrics, told)}
    settings = installation.settings.limits
    limits = ServerLimits(settings.connections_per_bank, settings.slow_reader_seconds)
    for bank in installation.banks:
        if isinstance(bank.wire, Iso8583Wire):
            key = installation.keyring.mac_key(bank.wire.mac_key)
            servers[f"iso8583 {bank.code}"] = Iso8583Server(bank, key, handler.handle, metrics, limits, told=told)
    return servers


def _http_server(
    installation: Installation, health: Health, handler: Handler, metrics: Metrics, told: Told
) -> HttpServer:
    http, keyring = installation.settings.http, installation.keyring
    exchange = BankXmlExchange(
        [bank for bank in installation.banks if isinstance(bank.wire, BankXmlWire)],
        keyring,
        handler.handle,
        metrics,
        stranger_key=None if http.sign_key is None else keyring.signing_key(http.sign_key),
        body_limit_bytes=http.body_limit_bytes,
        told=told,
    )
    return HttpServer(
        http.listen,
        exchange,
        metrics,
        health,
        body_limit_bytes=http.body_limit_bytes,
        body_seconds=installation.settings.limits.slow_reader_seconds,
    )


async def _start(name: str, server: _Server) -> str:
    try:
        host, port = await server.start()
    except OSError as error:
        raise ListenError(f"{name}: can't listen ({error.strerror}); change `listen`, or stop who has it") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _drain(handler: Handler, timeout_seconds: float) -> None:
    unfinished = await handler.drain(timeout_seconds)
    if unfinished:
        _log.warning("stopped_with_work_in_flight", operations=unfinished)


@contextmanager
def _signals(stopped: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stopped` while the block runs."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
