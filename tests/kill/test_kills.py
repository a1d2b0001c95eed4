"""SIGKILL at random moments under load, and nothing that was acknowledged is lost or doubled.

Strategy: rounds. Two banks work; at a moment drawn by the seed somebody is killed: the gateway, PostgreSQL (all of
its processes as in a power cut, the postmaster alone, or one session), gateway and server at once, or one of two
gateways on the same ledger. What died is started again, the banks settle everything that nobody answered, and then

- the audit must find the ledger sound and everything in the banks' acknowledgement log true;
- the ledger holds exactly the postings that the log knows, no other: every unanswered one is there once or not at all;
- the status enquiry says of each what the log says.

A failure tells its seed and where the logs are. By hand: BUSBAR_KILL_SEED=7 BUSBAR_KILL_ROUNDS=100 pytest tests/kill
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from busbar.audit.audit import audit

from .house import House, house, sign_on

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif("BUSBAR_DATABASE_DSN" in os.environ, reason="the server is not ours to kill"),
]
SEED = int(os.environ.get("BUSBAR_KILL_SEED", "20261123"))
ROUNDS = int(os.environ.get("BUSBAR_KILL_ROUNDS", "0"))  # 0: as many as each test says
GATEWAY, SERVER, POSTMASTER, SESSION, BOTH = "gateway", "server", "postmaster", "session", "gateway and server"


@contextmanager
def told_with_seed(seed: int, folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"seed BUSBAR_KILL_SEED={seed}; acknowledged.jsonl and gateway.log are kept in {folder}")
        raise


async def play_round(built: House, victim: str, chance: random.Random) -> None:
    """Work, a kill in the middle of it, and a new start. Survivors go on working all the while."""
    stop = asyncio.Event()
    work = [asyncio.create_task(bank.work(stop)) for bank in built.banks.values()]
    await asyncio.sleep(chance.uniform(0.15, 0.7))
    gateways = len(built.gateways)
    if victim in (GATEWAY, BOTH):
        await built.kill_gateway(chance.choice(built.gateways))
    if victim in (SERVER, POSTMASTER, BOTH):
        await built.kill_postgresql(everybody=victim != POSTMASTER)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await built.restart_postgresql()
    if victim == SESSION:
        await built.kill_session()
    if built.gateways:
        await asyncio.sleep(chance.uniform(0.1, 0.5))
    stop.set()
    for task in work:
        await task
    await built.hang_up_on_the_dead()
    while len(built.gateways) < gateways:
        await built.start_gateway()


async def check(built: House, what: str) -> None:
    """Settle what is open, then hold the ledger to the log."""
    for bank in built.banks.values():
        assert await bank.settle() == [], what
        assert not bank.open
    report = await audit(built.gateway_dsn, [built.log.path])
    offences = [(result.check.name, result.findings) for result in report.results if result.offences]
    assert offences == [], what
    booked = Counter(await built.booked_keys())
    assert [key for key, count in booked.items() if count != 1] == [], what
    assert set(booked) == built.log.success, what
    assert not built.log.success & built.log.refused, what


def audit_from_the_command_line(built: House) -> None:
    command = [sys.executable, "-m", "busbar", "db", "audit", "--installation", str(built.installation)]
    done = subprocess.run(
        [*command, "--acknowledged", str(built.log.path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("gateways", "victims"),
    [
        pytest.param(1, (GATEWAY,) * 7, id="the-gateway"),
        pytest.param(1, (SERVER, POSTMASTER, SERVER, BOTH, SERVER, SESSION, SERVER, SERVER), id="postgresql"),
        pytest.param(
            2, (GATEWAY, SERVER, GATEWAY, BOTH, GATEWAY, POSTMASTER, GATEWAY, SERVER, GATEWAY), id="one-of-two-gateways"
        ),
    ],
)
async def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, gateways: int, victims: tuple[str, ...]) -> None:
    chance = random.Random(f"{SEED}/{gateways}/{victims}")
    with told_with_seed(SEED, tmp_path):
        async with house(tmp_path, chance) as built:
            await asyncio.gather(*(built.start_gateway() for _ in range(gateways)))
            await sign_on(built)
            for number in range(ROUNDS or len(victims)):
                victim = victims[number % len(victims)]
                await play_round(built, victim, chance)
                await check(built, f"round {number + 1}, killed: {victim}")
            await asyncio.to_thread(audit_from_the_command_line, built)
            # The rounds met what they are for: answers, refusals, and operations that nobody had answered.
            assert len(built.log.success) > 20 * len(victims)
            assert built.log.refused
            assert all(bank.settled for bank in built.banks.values())
