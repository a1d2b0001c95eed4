"""The yardstick: PostgreSQL's own pgbench calling one function for each payment.

Strategy: the wheel's pgbench, prepared statements, the gateway's own role and session settings, so that both sides have
the same rights and plans. What it prints is read strictly: a failed or missing transaction is an error, not a slower
result. Connecting is not counted, as it is not counted for the lanes.
"""

from __future__ import annotations

import os
import re
import subprocess
import zlib
from importlib import resources
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from benchmarks.harness import BenchmarkError, Sample
from benchmarks.ledger.world import PGBENCH, World, request_bytes
from busbar.postgresql.installation import client_program
from gateway.ledger.migrate import GATEWAY
from gateway.ledger.store_postgres import SESSION_SETTINGS

# pgbench's own threads; more than there are processors here gain nothing.
_THREADS = 2
_TIMEOUT_SECONDS = 600
_RATE = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)$", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: ([0-9]+)/([0-9]+)$", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


def pay(world: World, *, clients: int, first: int, payments: int) -> Sample:
    """Let `clients` pay the bills from number `first` on; `payments` is a multiple of `clients`."""
    if payments % clients:
        raise ValueError(f"{payments} payments can't be shared evenly by {clients} clients")
    share = payments // clients
    with resources.as_file(resources.files("benchmarks.ledger") / "script.sql") as script:
        command = [
            str(client_program("pgbench")),
            "--no-vacuum",
            "--protocol=prepared",
            f"--file={script}",
            f"--client={clients}",
            f"--jobs={min(clients, _THREADS)}",
            f"--transactions={share}",
            *_defined(first=str(first), share=str(share), paid="0", request=_packed_request(first)),
            _without_password(world.gateway_dsn),
        ]
        output = _run(command, world.gateway_password)
    return read_output(output, payments)


def _defined(**variables: str) -> list[str]:
    return [f"--define={name}={value}" for name, value in variables.items()]


def _packed_request(number: int) -> str:
    return zlib.compress(request_bytes(PGBENCH, number), 1).hex()


def _run(command: list[str], password: str) -> str:
    options = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    environment = {**os.environ, "PGPASSWORD": password, "PGOPTIONS": options, "PGUSER": GATEWAY, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except OSError as error:
        raise BenchmarkError(f"pgbench can't be run ({error.strerror}): run `make setup`") from None
    if done.returncode:
        raise BenchmarkError(f"pgbench failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return done.stdout


def read_output(output: str, payments: int) -> Sample:
    """What pgbench says it did; raises BenchmarkError unless that is `payments` without a failure."""
    rate, done, failed = _RATE.search(output), _DONE.search(output), _FAILED.search(output)
    if rate is None or done is None or failed is None:
        raise BenchmarkError("pgbench speaks differently than version 18 does: name its lines in benchmarks/ledger")
    if done.group(1) != str(payments) or failed.group(1) != "0":
        raise BenchmarkError(f"pgbench made {done.group(1)} of {payments} payments, {failed.group(1)} failed")
    return Sample(payments, payments / float(rate.group(1)))


def _without_password(dsn: str) -> str:
    """The DSN as it may stand in a list of processes."""
    parts = urlsplit(dsn)
    user, _, _password = parts.netloc.rpartition("@")[0].partition(":")
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(unquote(user))}@{host}"))
