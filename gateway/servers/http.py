"""HTTP: `POST /bankxml`, `GET /healthz`, `/readyz`, `/metrics`.

Strategy: aiohttp parses HTTP and refuses what is no HTTP; this file checks what belongs to the transport (content type,
length, time to send the body) and hands bytes to the exchange. What is refused here was not read, so that there is
nobody to sign for: one plain line with the status that HTTP has for it.

`/healthz` says that the process lives, `/readyz` that the ledger can be reached. Neither tells a stranger anything.
TLS ends in front of this server (a balancer with client certificates), which then is the peer of the address lists.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.outcomes import Reason
from gateway.servers.bankxml_exchange import BankXmlExchange

XML_CONTENT_TYPES = frozenset(("application/xml", "text/xml"))
_UTF_8 = frozenset((None, "utf-8", "utf8"))
_REPLY_TYPE = "application/xml"
LAST_BYTES_SECONDS = 1.0  # for answers that are made and not yet sent when the server stops

Ready = Callable[[], Awaitable[str | None]]
"""None where the ledger can be reached, else one line that says what is missing."""


class HttpServer:
    """One listening port for everything that is HTTP."""

    def __init__(
        self,
        listen: str,
        exchange: BankXmlExchange,
        metrics: Metrics,
        ready: Ready,
        *,
        body_limit_bytes: int = 65_536,
        body_seconds: float = 10.0,
    ) -> None:
        self._listen = listen
        self._exchange = exchange
        self._metrics = metrics
        self._ready = ready
        self._body_seconds = body_seconds
        self._body_limit_bytes = body_limit_bytes
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._in_flight = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._stopping = False

    def application(self) -> web.Application:
        """The routes, as an aiohttp application."""
        app = web.Application(client_max_size=self._body_limit_bytes)
        app.on_response_prepare.append(_hide_versions)
        app.router.add_post("/bankxml", self._bankxml)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        return app

    async def start(self) -> tuple[str, int]:
        """Listen; the address that was really bound. Raises OSError where it is taken."""
        self._runner = web.AppRunner(
            self.application(), access_log=None, handle_signals=False, shutdown_timeout=LAST_BYTES_SECONDS
        )
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        self._site = web.TCPSite(self._runner, host.strip("[]"), int(port))
        await self._site.start()
        bound = self._runner.addresses[0]
        return str(bound[0]), int(bound[1])

    async def stop(self, timeout_seconds: float) -> None:
        """Accept no more, let what is in flight answer, close; at most so long."""
        self._stopping = True
        if self._site is not None and self._runner is not None:
            await self._site.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_answered.wait(), timeout_seconds)
            await self._runner.cleanup()
            self._site = self._runner = None

    async def _bankxml(self, request: web.Request) -> web.Response:
        if request.content_type not in XML_CONTENT_TYPES or (request.charset or "utf-8").lower() not in _UTF_8:
            return self._refuse(415, "send the message as application/xml in UTF-8")
        try:
            async with asyncio.timeout(self._body_seconds):
                data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, f"a message has at most {self._body_limit_bytes} bytes")
        except TimeoutError:
            return self._refuse(408, f"the message did not arrive within {self._body_seconds:g} seconds")
        except (ConnectionError, web.RequestPayloadError):
            # Whoever hung up reads no answer; the line in the log is for the bank's next call.
            return self._refuse(400, "the message was cut off in the middle")
        if self._stopping:
            return web.Response(status=503, text="stopping; send it again elsewhere or later\n")
        with self._counted():
            answer = await self._exchange.answer(data, request.remote or "")
            content_type = _REPLY_TYPE if answer.signed else "text/plain"
            response = web.Response(status=answer.status, body=answer.body, content_type=content_type, charset="utf-8")
            answer.left(await _has_left(request, response))
        return response

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        self._all_answered.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._all_answered.set()

    def _refuse(self, status: int, what: str) -> web.Response:
        self._exchange.report_unread(Reason.UNREADABLE, f"HTTP {status}: {what}")
        return web.Response(status=status, text=what + "\n")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        problem = "stopping" if self._stopping else await self._ready()
        return web.Response(status=200 if problem is None else 503, text=f"{problem or 'ready'}\n")

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})


async def _has_left(request: web.Request, response: web.Response) -> bool:
    """Send the response here, to see whether the whole of it goes out to a client that has not hung up."""
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return request.transport is not None and not request.transport.is_closing()


async def _hide_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """The server's versions are nobody's business."""
    response.headers["Server"] = "busbar"
