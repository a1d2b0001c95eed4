"""The embedded PostgreSQL: provided, restarted, killed, and gone with its process.

Each test runs real servers and real processes; the one thing taken from tests/conftest.py is the way to run a
coroutine. What root does differently (another account, a copy of the programs) is tested when the suite runs as root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from busbar.postgresql import PostgresqlError, Server, provide, remove_data
from busbar.postgresql.account import Account, state_folder, trusted_folder
from busbar.postgresql.cluster import TEMPORARY_PREFIX, open_cluster, remove_leftovers
from busbar.postgresql.external import checked_dsn, dsn_for
from busbar.postgresql.installation import Installation, _debian, find_installation
from busbar.postgresql.postmaster import processes_in

QUICK = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="tells what root does")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="tells what a normal user does")


def ask(dsn: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def cluster_of(data_folder: Path) -> Path:
    pointer = data_folder / "cluster-is-in"
    return (Path(pointer.read_text().strip()) if pointer.exists() else data_folder) / "cluster"


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(autouse=True)
def _no_external_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUSBAR_DATABASE_DSN", raising=False)


@pytest.fixture
def data_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose database is removed at the end, also where root keeps it elsewhere."""
    folder = tmp_path / "data folder"
    folder.mkdir()
    yield folder
    home = cluster_of(folder).parent
    remove_data(folder)
    shutil.rmtree(home.with_suffix(".before"), ignore_errors=True)


def test_the_server_is_what_the_ledger_needs() -> None:
    with provide(None) as server:
        dsn = server.superuser_dsn()
        assert int(str(ask(dsn, "SHOW server_version_num"))) >= 160000
        assert ask(dsn, "SHOW server_encoding") == "UTF8"
        assert ask(dsn, "SHOW data_checksums") == "on"
        assert [ask(dsn, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
        assert ask(dsn, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
        assert ask(dsn, "SHOW listen_addresses") == ""


def test_data_stay_when_it_is_provided_again(data_folder: Path) -> None:
    with provide(data_folder, QUICK) as server:
        ask(server.superuser_dsn(), "CREATE TABLE kept AS SELECT '缴费' AS word")
    with provide(data_folder, QUICK) as server:
        assert ask(server.superuser_dsn(), "SELECT word FROM kept") == "缴费"


def test_a_stopped_server_is_gone_with_its_socket(data_folder: Path) -> None:
    server = provide(data_folder, QUICK)
    socket_folder = str(ask(server.superuser_dsn(), "SHOW unix_socket_directories"))
    assert Path(socket_folder).exists()
    server.stop()
    server.stop()
    assert server.pid is None
    assert processes_in(cluster_of(data_folder), Account.current()) == set()
    assert not Path(socket_folder).exists()
    with pytest.raises(PostgresqlError, match="provide another"):
        server.restart()


def test_nobody_comes_in_without_the_password() -> None:
    with provide(None, QUICK) as server:
        for password in (None, "wrong"):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InternalClientError)):
                ask(server.dsn("postgres", "postgres", password), "SELECT 1")


def test_a_role_with_signs_in_its_password() -> None:
    with provide(None, QUICK) as server:
        ask(server.superuser_dsn(), "CREATE ROLE clerk LOGIN PASSWORD 'a/b:c@d ?#%'")
        assert ask(server.dsn("postgres", "clerk", "a/b:c@d ?#%"), "SELECT current_user") == "clerk"


def test_settings_reach_the_server_and_loopback_on_request() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with provide(None, {**QUICK, "work_mem": "7MB", "listen_addresses": "127.0.0.1", "port": port}) as server:
        assert ask(server.superuser_dsn(), "SHOW work_mem") == "7MB"
        with socket.create_connection(("127.0.0.1", int(port)), timeout=5):
            pass


def test_after_a_kill_restart_recovers_what_was_committed() -> None:
    with provide(None) as server:
        ask(server.superuser_dsn(), "CREATE TABLE paid AS SELECT 12345 AS amount_fen")
        for _ in range(3):
            first = server.pid
            server.kill()
            assert server.pid is None
            server.restart()
            assert server.pid not in (None, first)
            assert ask(server.superuser_dsn(), "SELECT amount_fen FROM paid") == 12345


CHILD = """
import sys, threading, time
from pathlib import Path
from busbar.postgresql import provide
def body():
    global server
    server = provide(Path(sys.argv[1]), {"fsync": "off"})
# From a thread that ends at once: the server must live on, and still end with the process.
thread = threading.Thread(target=body); thread.start(); thread.join(); time.sleep(0.3)
sys.stdout.write(f"{server.pid}\\n"); sys.stdout.flush()
%s
"""


def run_child(data_folder: Path, then: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "BUSBAR_DATABASE_DSN"}
    command = [sys.executable, "-c", CHILD % then, str(data_folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_script_that_is_killed_takes_its_server_along(data_folder: Path, number: signal.Signals) -> None:
    child = run_child(data_folder, "time.sleep(600)")
    assert child.stdout is not None
    postmaster = int(child.stdout.readline())
    cluster = cluster_of(data_folder)
    assert postmaster in processes_in(cluster, Account.current())
    child.send_signal(number)
    child.wait()
    with provide(data_folder, QUICK) as server:  # at once: the one before may still be leaving
        assert ask(server.superuser_dsn(), "SELECT 1") == 1
    assert eventually(lambda: not processes_in(cluster, Account.current()))


def test_a_script_that_just_ends_stops_its_server_in_order(data_folder: Path) -> None:
    child = run_child(data_folder, "")
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert processes_in(cluster_of(data_folder), Account.current()) == set()
    assert not (cluster_of(data_folder) / "postmaster.pid").exists()


def test_a_stale_pid_file_with_a_number_that_is_in_use_again(data_folder: Path) -> None:
    with provide(data_folder, QUICK):
        pass
    stale = cluster_of(data_folder) / "postmaster.pid"
    stale.write_text(f"{os.getppid()}\n{cluster_of(data_folder)}\n")
    with provide(data_folder, QUICK) as server:
        assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_two_servers_never_share_a_folder(data_folder: Path) -> None:
    with provide(data_folder, QUICK) as server:
        with pytest.raises(PostgresqlError, match=f"in use by process {os.getpid()}"):
            provide(data_folder, QUICK)
        assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_an_interrupted_initialisation_is_made_again(data_folder: Path) -> None:
    cluster = open_cluster(data_folder, Account.current())
    (cluster.home / "cluster.new").mkdir()
    (cluster.home / "cluster.new" / "PG_VERSION").write_text("18\n")
    (data_folder / "password").write_text("of the attempt before\n")
    cluster.release()
    with provide(data_folder, QUICK) as server:
        assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_removing_the_data_leaves_what_is_not_of_the_database(data_folder: Path) -> None:
    with provide(data_folder, QUICK):
        with pytest.raises(PostgresqlError, match="in use"):
            remove_data(data_folder)
        cluster = cluster_of(data_folder)
    (data_folder / "report.pdf").touch()
    remove_data(data_folder)
    assert not cluster.exists()
    assert [path.name for path in data_folder.iterdir()] == ["report.pdf"]
    remove_data(data_folder)  # there is none: nothing to do


def test_a_temporary_server_leaves_nothing() -> None:
    with provide(None, QUICK) as server:
        home = Path(str(ask(server.superuser_dsn(), "SHOW data_directory"))).parent
        assert home.exists()
    assert not home.exists()


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    account = Account.current()
    left = open_cluster(None, account)
    os.close(left.lock)  # as the kernel does for a killed process
    assert left.data_folder.name.startswith(TEMPORARY_PREFIX)
    remove_leftovers(account)
    assert left.data_folder.exists()  # too young to be sure
    os.utime(left.data_folder / "lock", (0, 0))
    remove_leftovers(account)
    assert not left.data_folder.exists()
    assert not left.home.exists()


def test_leftovers_in_use_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = open_cluster(None, Account.current())
    os.utime(held.data_folder / "lock", (0, 0))
    remove_leftovers(Account.current())
    assert held.data_folder.exists()
    held.release()


def _without_password(folder: Path) -> None:
    (folder / "password").unlink()


def _of_another_version(folder: Path) -> None:
    (cluster_of(folder) / "PG_VERSION").write_text("12\n")


def _not_a_cluster(folder: Path) -> None:
    (cluster_of(folder) / "PG_VERSION").unlink()


def _broken_configuration(folder: Path) -> None:
    (cluster_of(folder) / "postgresql.conf").write_text("work_mem = 'plenty'\n")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_without_password, "password file of the database in .* is missing"),
        (_of_another_version, "was made by PostgreSQL 12"),
        (_not_a_cluster, "is not a PostgreSQL cluster"),
        (_broken_configuration, "does not start: .*postgresql.log"),
    ],
)
def test_a_damaged_folder_is_refused_and_kept(data_folder: Path, harm: Callable[[Path], None], message: str) -> None:
    with provide(data_folder, QUICK):
        pass
    harm(data_folder)
    with pytest.raises(PostgresqlError, match=message) as caught:
        provide(data_folder, QUICK)
    assert "\n" not in str(caught.value)
    assert (cluster_of(data_folder) / "base").exists()


@pytest.mark.parametrize(
    "settings",
    [{"": "1"}, {"Work Mem": "1"}, {"-c": "1"}, {"unix_socket_directories": "/"}],
)
def test_names_that_are_no_settings_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(PostgresqlError, match="not a setting"):
        provide(None, settings)


def test_an_unknown_setting_and_an_unknown_stop_mode() -> None:
    with pytest.raises(PostgresqlError, match="unrecognized configuration parameter"):
        provide(None, {"no_such_setting": "1"})
    with provide(None, QUICK) as server, pytest.raises(PostgresqlError, match="no stop mode"):
        server.stop("gently")


def test_rows_and_passwords_stay_out_of_log_and_repr(data_folder: Path) -> None:
    with provide(data_folder, QUICK) as server:
        dsn = server.superuser_dsn()
        ask(dsn, "CREATE TABLE account (number text PRIMARY KEY)")
        ask(dsn, "INSERT INTO account VALUES ('6222020000000000')")
        with pytest.raises(asyncpg.UniqueViolationError):
            ask(dsn, "INSERT INTO account VALUES ('6222020000000000')")
        password = (data_folder / "password").read_text().strip()
        assert password not in repr(server)
    log = (data_folder / "postgresql.log").read_text()
    assert "duplicate key" in log
    assert "6222020000000000" not in log
    assert password not in log
    assert stat.S_IMODE((data_folder / "password").stat().st_mode) == 0o600


def test_a_long_log_is_set_aside(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("busbar.postgresql.postmaster.LOG_LIMIT_BYTES", 10)
    for _ in range(2):
        with provide(data_folder, {**QUICK, "log_connections": "on"}) as server:
            ask(server.superuser_dsn(), "SELECT 1")
    assert (data_folder / "postgresql.log.1").stat().st_size > 10


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PostgresqlError, match="can't be made"):
        provide(tmp_path / "file" / "data", QUICK)


# --- an external server


def test_an_external_server_is_used_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with provide(None, QUICK) as ours:
        monkeypatch.setenv("BUSBAR_DATABASE_DSN", ours.superuser_dsn())
        with provide(Path("/nowhere")) as external:
            assert external.external
            assert external.pid is None
            assert ask(external.superuser_dsn(), "SELECT 1") == 1
            for action in (external.kill, external.restart):
                with pytest.raises(PostgresqlError, match="not ours"):
                    action()
        assert ask(ours.superuser_dsn(), "SELECT 1") == 1


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("mysql://user:secret@localhost/x", "must look like postgresql://"),
        ("postgresql://user:secret@127.0.0.1:1/x", "can't be reached"),
    ],
)
def test_an_external_server_that_is_none(dsn: str, message: str) -> None:
    with pytest.raises(PostgresqlError, match=message) as caught:
        checked_dsn(dsn)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("answer", "shown"), [("150006", "PostgreSQL 15"), ("", "PostgreSQL ;")])
def test_an_external_server_that_is_too_old(monkeypatch: pytest.MonkeyPatch, answer: str, shown: str) -> None:
    monkeypatch.setattr("busbar.postgresql.external._ask", lambda dsn, statement: answer)
    with pytest.raises(PostgresqlError, match=f"{shown}.*16 or later"):
        checked_dsn("postgresql://user@localhost/x")


@pytest.mark.parametrize(
    ("dsn", "arguments", "expected"),
    [
        ("postgresql://a:b@h:1/x?ssl=require", ("y",), "postgresql://a:b@h:1/y?ssl=require"),
        ("postgresql://a:b@h:1/x", ("y", "c"), "postgresql://c@h:1/y"),
        ("postgresql://a:b@h:1/x", ("y", "c", "d@/"), "postgresql://c:d%40%2F@h:1/y"),
        ("postgresql:///x?host=%2Ftmp", ("y",), "postgresql:///y?host=%2Ftmp"),
        ("postgresql://[::1]:5432/x", ("y/z", "c"), "postgresql://c@[::1]:5432/y%2Fz"),
    ],
)
def test_a_dsn_for_another_database_and_user(dsn: str, arguments: tuple[str, ...], expected: str) -> None:
    assert dsn_for(dsn, *arguments) == expected


# --- installations and accounts


def test_debian_of_16_or_later_is_the_last_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for major in ("9.6", "15", "16", "17"):
        programs = tmp_path / major / "bin"
        programs.mkdir(parents=True)
        for name in ("postgres", "initdb") if major != "17" else ("initdb",):
            (programs / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.4 (Debian)'\n")
            (programs / name).chmod(0o755)
    assert _debian(tmp_path) == Installation(tmp_path / "16" / "bin", "16.4")
    monkeypatch.setattr("busbar.postgresql.installation.WHEEL", "no-such-package")
    monkeypatch.setattr("busbar.postgresql.installation.DEBIAN_INSTALLATIONS", tmp_path / "15")
    with pytest.raises(PostgresqlError, match="no PostgreSQL 16 or later"):
        find_installation(Account.current())


@as_root
def test_root_runs_it_as_nobody_from_a_folder_that_only_root_can_write(data_folder: Path) -> None:
    data_folder.chmod(0o700)
    with provide(data_folder, QUICK) as server:
        assert server.pid is not None
        status = Path(f"/proc/{server.pid}/status").read_text()
        uid = str(Account.current().user_id)
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
        assert "Groups:\t \n" in status
        program = Path(f"/proc/{server.pid}/exe").readlink()
        for folder in (program, *program.parents):
            found = folder.stat()
            assert found.st_uid == 0
            assert not found.st_mode & 0o022
        home = cluster_of(data_folder).parent
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert home.stat().st_uid == int(uid)


@as_root
def test_a_deleted_data_folder_starts_afresh_as_root_and_the_old_data_are_set_aside(data_folder: Path) -> None:
    with provide(data_folder, QUICK) as server:
        ask(server.superuser_dsn(), "CREATE TABLE gone (n int)")
    home = cluster_of(data_folder).parent
    shutil.rmtree(data_folder)
    with provide(data_folder, QUICK) as server:
        assert ask(server.superuser_dsn(), "SELECT to_regclass('gone') IS NULL") is True
    assert cluster_of(data_folder).parent == home
    assert (home.with_suffix(".before") / "cluster" / "PG_VERSION").exists()


@as_root
def test_the_copy_of_the_programs_is_whole_or_made_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    account = Account.current()
    first = find_installation(account, tmp_path)
    (first.programs / "postgres").write_bytes(b"")
    second = find_installation(account, tmp_path)
    assert first == second
    assert (second.programs / "postgres").stat().st_size > 1_000_000
    assert {path.name for path in tmp_path.iterdir()} == {second.programs.parents[2].name, ".copying"}


@as_root
def test_several_processes_that_need_the_copy_at_the_same_time(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    find = "from busbar.postgresql.installation import find_installation; from busbar.postgresql.account import Account"
    code = f"import pathlib, sys; {find}; find_installation(Account.current(), pathlib.Path(sys.argv[1]))"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4


@as_root
def test_a_folder_of_a_stranger_is_not_trusted(tmp_path: Path) -> None:
    theirs, linked, open_to_all = tmp_path / "theirs", tmp_path / "link", tmp_path / "open"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    linked.symlink_to(tmp_path)
    for folder in (theirs, linked, open_to_all):
        with pytest.raises(PostgresqlError, match="not safe to use"):
            trusted_folder(folder, user_id=0, mode=0o711)
    assert state_folder((theirs, tmp_path / "good")) == tmp_path / "good"
    with pytest.raises(PostgresqlError, match="no folder for the database server"):
        state_folder((theirs, linked))


def test_the_fixtures_give_databases_of_their_own(
    fresh_database: Callable[..., str],
    template_database: Callable[..., None],
    database_from_template: Callable[[str], str],
    postgresql_server: Server,
) -> None:
    calls = []

    def prepare(dsn: str) -> None:
        calls.append(dsn)
        ask(dsn, "CREATE TABLE prepared AS SELECT 1 AS n")

    template_database("fixtures_themselves", prepare)
    template_database("fixtures_themselves", prepare)
    copies = [database_from_template("fixtures_themselves") for _ in range(2)]
    assert len(calls) == 1
    ask(copies[0], "INSERT INTO prepared VALUES (2)")
    assert [ask(dsn, "SELECT count(*) FROM prepared") for dsn in copies] == [2, 1]
    empty = fresh_database("empty")
    assert ask(empty, "SELECT to_regclass('prepared') IS NULL") is True
    assert postgresql_server.pid is None or postgresql_server.pid > 0
