"""The wiring: an installation's servers on a ledger, started and stopped in order; and one real day on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from busbar.installations import create_sample
from gateway.config import Installation, load
from gateway.database import connect
from gateway.ledger.importing import import_bills, import_customers
from gateway.ledger.migrate import InstallationMismatch, migrate
from gateway.main import ListenError, run, serving
from gateway.metrics import Metrics
from gateway.operations import Evidence
from gateway.outcomes import Approved, Outcome
from gateway.services.handler import LedgerOperation

from .ledger.installations import PASSWORD
from .servers.iso_peer import Line, Requests
from .servers.xml_peer import XmlPeer

DAY = date(2026, 3, 3)
CUSTOMER = "060000012340"
CUSTOMERS = f"""\
customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category,penalty_exempt
{CUSTOMER},{CUSTOMER},欧阳测试,榕树镇电力路八号,06000101,03,202,false
"""
BILLS = f"""\
receivable_id,customer_no,billing_month,charge_kind,org_code,principal_fen,due_date,partial_payment_allowed,locked
R1,{CUSTOMER},202602,010,06000101,12345,2099-12-31,false,false
R2,{CUSTOMER},202603,010,06000101,12345,2099-12-31,false,false
"""


async def approve(_operation: LedgerOperation, _evidence: Evidence, _deadline: float | None) -> Outcome:
    return Approved(DAY)


async def healthy() -> str | None:
    return None


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    create_sample(folder)
    return load(folder)


async def test_every_bank_has_its_server(sample: Installation) -> None:
    async with serving(sample, approve, healthy, Metrics()) as addresses:
        assert sorted(addresses) == ["http", "iso8583 GZB"]
        host, _, port = addresses["iso8583 GZB"].rpartition(":")
        line = await Line.open((host, int(port)), sample.keyring.mac_key("gzb-mac").secret)
        ask = Requests(datetime.now(UTC), CUSTOMER, "6222000000000012345")
        assert (await line.ask(ask.sign_on())).require(39) == "00"
        async with ClientSession() as client, client.get(f"http://{addresses['http']}/readyz") as response:
            assert response.status == 200
        quiet_port = int(port)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, quiet_port)
    assert await line.is_closed()


async def test_a_port_that_is_taken_is_one_line_and_nothing_stays_open(sample: Installation, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        http_port = free.getsockname()[1]
        free.close()
        create_sample(tmp_path)
        for file, listen in (("busbar.toml", http_port), ("banks/GZB.toml", taken.getsockname()[1])):
            path = tmp_path / file
            text = path.read_text("utf-8").replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{listen}"')
            path.write_text(text, "utf-8")
        with pytest.raises(ListenError, match="iso8583 GZB: can't listen"):
            async with serving(load(tmp_path), approve, healthy, Metrics()):
                pytest.fail("it must not start")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", http_port)


@pytest.fixture
async def ledger_dsn(
    sample: Installation, fresh_database: Callable[..., str], postgresql_server: Any, tmp_path: Path
) -> str:
    """A ledger with one customer and two bills; the DSN of the gateway's role."""
    admin_dsn = fresh_database()
    passwords = {"gateway_password": PASSWORD, "night_password": PASSWORD}
    await migrate(admin_dsn, partitions=sample.partitions, first_clearing_date=DAY, **passwords)
    dsn: str = postgresql_server.dsn(urlsplit(admin_dsn).path.lstrip("/"), "busbar_gateway", PASSWORD)
    (tmp_path / "customers.csv").write_text(CUSTOMERS, "utf-8")
    (tmp_path / "bills.csv").write_text(BILLS, "utf-8")
    assert (await import_customers(dsn, tmp_path / "customers.csv", sample.partitions)).added == 1
    assert (await import_bills(dsn, tmp_path / "bills.csv", sample.partitions)).added == 2
    return dsn


@contextlib.asynccontextmanager
async def running(installation: Installation, dsn: str) -> AsyncIterator[dict[str, str]]:
    started: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(
        run(installation, dsn, ready=lambda addresses: started.set_result(dict(addresses)), stop=stop)
    )
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield started.result()
    stop.set()
    await asyncio.wait_for(task, 20)


async def postings(dsn: str, partitions: int) -> list[tuple[str, str, int, str]]:
    connection = await connect(dsn)
    try:
        found: list[tuple[str, str, int, str]] = []
        for number in range(partitions):
            table = f"ledger_{number:02d}.payment"
            rows = await connection.fetch(f"SELECT bank, kind, amount_fen, trace_id FROM {table} ORDER BY payment_id")
            found += [tuple(row.values()) for row in rows]
        return found
    finally:
        await connection.close()


async def test_a_bill_is_paid_on_each_wire_and_booked_once(sample: Installation, ledger_dsn: str) -> None:
    now = datetime.now(UTC)
    ask = Requests(now, CUSTOMER, "6222000000000012345")
    async with running(sample, ledger_dsn) as addresses:
        host, _, port = addresses["iso8583 GZB"].rpartition(":")
        line = await Line.open((host, int(port)), sample.keyring.mac_key("gzb-mac").secret)
        month = ask.payment().with_fields({48: f"{CUSTOMER:>21}20260200" + "01" + "0" * 12 + "10" + " " * 25})
        assert (await line.ask(month)).require(39) == "U4"  # not signed on
        assert (await line.ask(ask.sign_on())).require(39) == "00"
        enquiry = await line.ask(ask.enquiry())
        assert (enquiry.require(39), enquiry.require(4), enquiry.require(15)) == ("00", "000000024690", "0303")
        first, again = await line.ask(month), await line.ask(month)
        assert (first.require(39), first.require(37)) == ("00", again.require(37))
        peer = XmlPeer(now, CUSTOMER, sample.keyring, "yyb-2026")
        async with ClientSession(headers={"Content-Type": "application/xml"}) as client:
            for kind, expected in (("payment.req", "success"), ("status.enquiry.req", "success")):
                async with client.post(f"http://{addresses['http']}/bankxml", data=peer.request(kind)) as response:
                    reply: Any = peer.opened(await response.read(), "utility-2026")
                assert reply.body.result.outcome_class == expected
        line.close()
    booked = await postings(ledger_dsn, sample.partitions)
    assert [row[:3] for row in booked] == [("GZB", "PAYMENT", 12345), ("YYB", "PAYMENT", 12345)]
    assert all(row[3] for row in booked)


async def test_a_ledger_that_was_made_otherwise_is_refused(
    sample: Installation, fresh_database: Callable[..., str], postgresql_server: Any
) -> None:
    admin_dsn = fresh_database()
    await migrate(admin_dsn, partitions=2, first_clearing_date=DAY, gateway_password=PASSWORD, night_password=PASSWORD)
    dsn = postgresql_server.dsn(urlsplit(admin_dsn).path.lstrip("/"), "busbar_gateway", PASSWORD)
    with pytest.raises(InstallationMismatch, match="2 partitions and 4 are configured"):
        async with running(sample, dsn):
            pytest.fail("it must not start")
