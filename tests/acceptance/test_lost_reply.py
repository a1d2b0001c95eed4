"""A lost reply: whatever becomes of the connection, the payment is booked once and the resend tells what was booked."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from busbar.bank.wires import Damage, Meaning
from gateway import clock
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou_layouts import Collection
from protocols.money import Money
from tests.gateway.servers.iso_peer import SENDER, Line, sealed

from .house import PATIENCE_SECONDS, WIRES, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def booked(house: House, trace_no: str) -> str:
    """The reference number under which it was booked, once; waited for, as nobody is told."""
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        rows = await house.payments(trace_no)
        if rows:
            [row] = rows
            return str(row["reference_no"])
        await asyncio.sleep(0.02)
    raise AssertionError("the payment was never booked")


@pytest.mark.parametrize("name", WIRES)
async def test_connection_closed_after_the_request(house: House, name: str) -> None:
    order = house.order(house.payer())
    async with house.wire(name) as wire:
        lost = await wire.pay(order, Damage.LOST_REPLY)
        assert lost.meaning is Meaning.NO_ANSWER
        reference_no = await booked(house, order.trace_no)
        before = await house.rows()
        again = await wire.pay(order)
        assert (again.meaning, again.reference_no, again.clearing_date) == (Meaning.OK, reference_no, house.day)
        assert (await house.rows()).added_since(before) == {"evidence": 1}
        if wire.has_status_enquiry:
            told = await wire.status(order, (house.day, house.trace_no()), fence=True)
            assert (told.payment_state, told.reference_no) == ("BOOKED", reference_no)
    await house.check_books()


def send_and_reset(address: tuple[str, int], data: bytes) -> None:
    """Send, and break the connection off as a crashed machine's network would (RST): what arrives is left to chance."""
    with socket.create_connection(address) as line:
        line.sendall(data)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_connection_broken_off_at_any_moment(house: House) -> None:
    """Whether the request got through or not, the resend is approved and there is one payment."""
    payers = [house.payer() for _ in range(12)]
    messages = [
        bank.payment(
            SENDER,
            bank.Trace(house.trace_no(), clock.now(), house.day),
            Collection(payer.customer_no, f"{payer.new_month}99"),
            Money(payer.new_fen),
        )
        for payer in payers
    ]
    line = await Line.open(house.iso_address(), house.mac_key())
    assert (await line.ask(bank.sign_on(SENDER, house.trace_no(), clock.now()))).require(39) == "00"
    loop = asyncio.get_running_loop()
    for message in messages:
        await loop.run_in_executor(None, send_and_reset, house.iso_address(), sealed(message, house.mac_key()))
    for message in messages:
        reply = await line.ask(message)
        while reply.require(39) == "U2":  # the first copy is still in flight: never a guess, ask again
            await asyncio.sleep(0.02)
            reply = await line.ask(message)
        assert reply.require(39) == "00"
        [row] = await house.payments(message.require(11))
        assert row["reference_no"] == reply.require(37)
    await house.check_books()
    house.assert_log_is_clean()
