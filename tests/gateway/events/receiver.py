"""Somebody who is told of payments: a real HTTP server that answers as it is told and remembers what it took.

It keeps to the page `docs/wire/payment-events.md` and uses nothing of the gateway: the signature is checked with the
recipe of that page alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Event = dict[str, Any]
Decision = Callable[[list[Event]], int | Awaitable[int]]


def verifies(key: RSAPublicKey, subscriber: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Section "Checking the signature" of the page, step by step."""
    parts = dict(part.split("=", 1) for part in headers["Busbar-Signature"].split("; "))
    digest = hashlib.sha256(body).hexdigest()
    signed = f"busbar-events: 1\nsubscriber: {subscriber}\ntimestamp: {parts['timestamp']}\nsha256: {digest}\n"
    try:
        key.verify(b64decode(parts["signature"]), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return parts["algorithm"] == "RSA-SHA256"


class Receiver:
    """`decide` gets the events of a request and gives the status; what got 2xx is in `taken`."""

    def __init__(self) -> None:
        self.decide: Decision = lambda _events: 204
        self.taken: list[Event] = []
        self.offered: list[list[Event]] = []
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        self.redirect_to: str | None = None
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/payments"

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, on the same port as before if there was one."""
        app = web.Application()
        app.router.add_post("/payments", self._payments)
        app.router.add_post("/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, is_so: Callable[[], bool], within_seconds: int = 30) -> None:
        """Wait for a request after which it is so; fails by TimeoutError."""
        async with asyncio.timeout(within_seconds), self._changed:
            await self._changed.wait_for(is_so)

    async def until_taken(self, count: int) -> list[Event]:
        await self.until(lambda: len(self.taken) >= count)
        return self.taken

    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.taken]

    def by_customer(self) -> dict[str, list[int]]:
        """Each customer's sequences, as they were taken."""
        found: dict[str, list[int]] = {}
        for event in self.taken:
            found.setdefault(event["customer_no"], []).append(event["sequence"])
        return found

    async def _payments(self, request: web.Request) -> web.Response:
        body = await request.read()
        events = json.loads(body)["events"]
        self.requests.append((dict(request.headers), body))
        self.offered.append(events)
        status = self.decide(events)
        if not isinstance(status, int):
            status = await status
        if 200 <= status < 300:
            self.taken += events
        async with self._changed:
            self._changed.notify_all()
        headers = {"Location": self.redirect_to} if self.redirect_to else {}
        return web.Response(status=status, headers=headers, text="" if status == 204 else "x" * 100)

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        self.taken.append({"customer_no": "elsewhere", "sequence": 0, "event_id": "elsewhere"})
        return web.Response(status=204)
