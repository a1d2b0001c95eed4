"""The running server process (the postmaster): start, wait until it is ready, stop, kill.

Strategy: `postgres` runs in the foreground as our child, in a session of its own (Ctrl-C in the terminal is for us; we
then stop the server in order). A thread of its own starts it and waits for it, see `children`. "Ready" is read where
PostgreSQL's own pg_ctl reads it, the last line of postmaster.pid, so no password and no connection is needed.

After a crash there may be processes of an earlier life in the cluster: backends that have not noticed yet that their
postmaster is gone, or a whole server whose owner was killed a moment ago. Starting over them would corrupt the data.
PostgreSQL's processes all stand in the cluster's folder, so /proc tells exactly who is left; the lock on the cluster
is ours by then, so nobody needs them any more: they are asked to end and waited for. Only when nobody is left is a
stale postmaster.pid removed (PostgreSQL itself is misled by it if the number belongs to another process by now).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from busbar.postgresql.account import Account
from busbar.postgresql.children import account_and_environment, die_with_parent
from busbar.postgresql.cluster import Cluster
from busbar.postgresql.errors import PostgresqlError
from busbar.postgresql.installation import Installation

START_TIMEOUT_SECONDS = 120  # recovery of a large cluster takes its time
STOP_TIMEOUT_SECONDS = 60
LEFTOVER_TIMEOUT_SECONDS = 10  # after each of the signals that ask an earlier life to end
POLL_SECONDS = 0.01
LOG_LIMIT_BYTES = 10_000_000
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
LEFTOVER_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


class Postmaster:
    """One server process on one cluster. Not started by construction."""

    def __init__(self, installation: Installation, cluster: Cluster) -> None:
        self._installation = installation
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: BaseException | None = None
        self._keeper: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, settings: Mapping[str, str]) -> None:
        """Start it with `settings` (name to value) and wait until it takes connections."""
        end_leftovers(self._cluster.path, self._cluster.account)
        command = [str(self._installation.programs / "postgres"), "-D", str(self._cluster.path)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log_start = self._turn_log()
        started = threading.Event()
        self._process, self._failure = None, None
        self._keeper = threading.Thread(target=self._keep, args=(command, started), name="postgresql", daemon=True)
        self._keeper.start()
        started.wait()
        if self._failure is not None:
            raise PostgresqlError(f"{command[0]} can't be started: {self._failure}") from self._failure
        self._wait_until_ready(log_start)

    def _keep(self, command: list[str], started: threading.Event) -> None:
        """The life of the thread that is the server's parent."""
        try:
            with self._cluster.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - a program of ours
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    preexec_fn=die_with_parent("SIGINT"),  # noqa: PLW1509 - it takes no lock
                    **account_and_environment(self._cluster.account),
                )
            self._process = process
        except (OSError, subprocess.SubprocessError) as error:
            self._failure = error
            return
        finally:
            started.set()
        process.wait()

    def _wait_until_ready(self, log_start: int) -> None:
        if not _within(START_TIMEOUT_SECONDS, lambda: self.pid is None or self._ready()):
            self.stop("immediate")
            raise PostgresqlError(
                f"PostgreSQL was not ready within {START_TIMEOUT_SECONDS} seconds; see {self._cluster.log}"
            )
        if self.pid is None:
            raise PostgresqlError(f"PostgreSQL does not start: {self._last_words(log_start)}")

    def _ready(self) -> bool:
        lines = _pid_file_lines(self._cluster.path)
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"

    def _turn_log(self) -> int:
        """Set an overlong log aside; returns the size of the one that goes on."""
        log = self._cluster.log
        size = log.stat().st_size if log.exists() else 0
        if size <= LOG_LIMIT_BYTES:
            return size
        log.replace(log.with_suffix(".log.1"))
        return 0

    def _last_words(self, log_start: int) -> str:
        with self._cluster.log.open("rb") as log:
            log.seek(log_start)
            said = log.read(100_000).decode("utf-8", "replace").splitlines()
        fatal = [line for line in said if "FATAL" in line or "error" in line.lower()]
        return f"{(fatal or said or ['no word'])[0].strip()} (log: {self._cluster.log})"

    def stop(self, mode: str) -> None:
        """Stop it if it runs: "smart" (waits for clients), "fast" or "immediate" (like a crash).

        A server that is not down after a minute is stopped immediately: the next start recovers.
        """
        if mode not in STOP_SIGNALS:
            raise PostgresqlError(f"there is no stop mode {mode!r}; take one of {', '.join(STOP_SIGNALS)}")
        for chosen in (STOP_SIGNALS[mode], signal.SIGQUIT, signal.SIGKILL):
            if self._signal_and_wait(chosen, STOP_TIMEOUT_SECONDS):
                return
        raise PostgresqlError(f"PostgreSQL (process {self.pid}) does not stop")

    def kill(self) -> None:
        """Kill the postmaster (SIGKILL), as a crash would. Its backends end by themselves a moment later."""
        self._signal_and_wait(signal.SIGKILL, STOP_TIMEOUT_SECONDS)

    def _signal_and_wait(self, number: signal.Signals, timeout_seconds: float) -> bool:
        process = self._process
        if process is None:
            return True
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout_seconds)
        return process.poll() is not None


def end_leftovers(cluster: Path, account: Account) -> None:
    """Make sure that no process of an earlier server stands in `cluster`; the caller holds the cluster's lock."""
    for number in LEFTOVER_SIGNALS:
        if _within(1.0, lambda: not processes_in(cluster, account)):  # most often they are just leaving
            break
        _signal_all(processes_in(cluster, account), number)
        _within(LEFTOVER_TIMEOUT_SECONDS, lambda: not processes_in(cluster, account))
    left = processes_in(cluster, account)
    if left:
        raise PostgresqlError(f"processes {sorted(left)} of an earlier server hold {cluster}; stop them")
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _signal_all(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def processes_in(cluster: Path, account: Account) -> set[int]:
    """The ids of the PostgreSQL processes of `account` whose working folder is `cluster`."""
    wanted = str(cluster.resolve())
    processes = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {process for process in processes if _is_postgres(process) and _working_folder(process, account) == wanted}


def _is_postgres(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip() == "postgres"
    except OSError:  # gone meanwhile
        return False


def _working_folder(process: int, account: Account) -> str | None:
    link = Path(f"/proc/{process}/cwd")
    try:
        return str(link.readlink())
    except PermissionError:
        # Root of a container lacks the right to look into another account's processes; that account has it.
        command = ["/usr/bin/readlink", str(link)]
        shown = subprocess.run(  # noqa: S603 - a program of the system
            command, capture_output=True, check=False, **account_and_environment(account)
        )
        return os.fsdecode(shown.stdout.removesuffix(b"\n"))
    except OSError:
        return None


def _pid_file_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _within(timeout_seconds: float, done: Callable[[], bool]) -> bool:
    """Wait until `done`, asking again and again; False when the time is over first."""
    end = time.monotonic() + timeout_seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True
