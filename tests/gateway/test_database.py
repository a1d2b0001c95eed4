"""The database door: values never in errors, each SQLSTATE class its own error, results of COPY."""

from __future__ import annotations

import asyncio
import io
import traceback
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from gateway.database import (
    CheckViolation,
    Connection,
    ConnectionLost,
    DatabaseError,
    DataError,
    LockNotAvailable,
    PermissionRefused,
    RetryTransaction,
    UniqueViolation,
    connect,
    create_pool,
)

SECRET = "6222020200112233445"
SCHEMA = """
CREATE SCHEMA room;
CREATE TABLE room.thing (
    id bigint CONSTRAINT thing_key PRIMARY KEY,
    amount_fen bigint NOT NULL CONSTRAINT thing_amount_positive CHECK (amount_fen > 0),
    account text,
    parent bigint CONSTRAINT thing_parent REFERENCES room.thing (id)
);
INSERT INTO room.thing (id, amount_fen, account) VALUES (1, 100, '6222020200112233445'), (2, 200, NULL)
"""


@pytest.fixture
async def dsn(fresh_database: Callable[..., str]) -> str:
    dsn = fresh_database()
    connection = await connect(dsn)
    await connection.execute(SCHEMA)
    await connection.close()
    return dsn


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn, search_path="room", application_name="test of the door")
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("sql", "args", "kind", "constraint"),
    [
        ("INSERT INTO thing (id, amount_fen, account) VALUES (1, 1, $1)", (SECRET,), UniqueViolation, "thing_key"),
        ("INSERT INTO thing VALUES (3, -1, $1)", (SECRET,), CheckViolation, "thing_amount_positive"),
        ("INSERT INTO thing VALUES (3, NULL, $1)", (SECRET,), CheckViolation, "amount_fen"),
        ("INSERT INTO thing VALUES (3, 1, $1, 77)", (SECRET,), DataError, "thing_parent"),
        ("SELECT $1::text::bigint / 0", (SECRET,), DataError, None),
        ("SELECT $1::text::date", (SECRET,), DataError, None),
        ("SELECT $1::bigint", (SECRET,), DataError, None),
        ("SELECT nothing FROM thing", (), DatabaseError, None),
        ("SELECT pg_sleep(10)", (), DatabaseError, None),
        ("SELECT pg_terminate_backend(pg_backend_pid())", (), ConnectionLost, None),
    ],
)
async def test_errors_are_translated_and_safe(
    connection: Connection, sql: str, args: tuple[object, ...], kind: type[DatabaseError], constraint: str | None
) -> None:
    await connection.execute("SET statement_timeout = 200")
    with pytest.raises(DatabaseError) as caught:
        await connection.fetch(sql, *args)
    assert type(caught.value) is kind
    assert caught.value.constraint == constraint
    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text


async def test_own_mistakes_are_told(connection: Connection) -> None:
    with pytest.raises(DatabaseError, match=r'column "nothing" does not exist.*42703'):
        await connection.fetch("SELECT nothing FROM thing")


async def test_nobody_there_is_a_lost_connection(tmp_path: object) -> None:
    with pytest.raises(ConnectionLost):
        await connect(f"postgresql://someone@/nothing?host={tmp_path}")


async def test_wrong_password_is_refused_without_telling_it(dsn: str, connection: Connection) -> None:
    await connection.execute("DROP ROLE IF EXISTS door_test; CREATE ROLE door_test LOGIN PASSWORD 'right'")
    try:
        with pytest.raises(PermissionRefused) as caught:
            await connect(dsn.replace(dsn.split("//")[1].split("@", maxsplit=1)[0], "door_test:wrong-one"))
        assert "wrong-one" not in str(caught.value)
    finally:
        await connection.execute("DROP ROLE door_test")


async def test_deadlock_asks_to_retry(dsn: str) -> None:
    first, second = await connect(dsn), await connect(dsn)
    for connection in (first, second):
        await connection.execute("SET deadlock_timeout = '20ms'")

    async def update(connection: Connection, order: tuple[int, int], barrier: asyncio.Barrier) -> None:
        async with connection.transaction():
            await connection.execute("UPDATE room.thing SET amount_fen = 5 WHERE id = $1", order[0])
            await barrier.wait()
            await connection.execute("UPDATE room.thing SET amount_fen = 5 WHERE id = $1", order[1])

    barrier = asyncio.Barrier(2)
    results = await asyncio.gather(
        update(first, (1, 2), barrier), update(second, (2, 1), barrier), return_exceptions=True
    )
    assert sorted(type(result) for result in results if result is not None) == [RetryTransaction]
    await first.close()
    await second.close()


async def test_lock_not_available(dsn: str, connection: Connection) -> None:
    other = await connect(dsn)
    async with connection.transaction():
        await connection.execute("LOCK TABLE thing")
        await other.execute("SET lock_timeout = 20")
        with pytest.raises(LockNotAvailable):
            await other.execute("UPDATE room.thing SET amount_fen = 1")
    await other.close()


async def test_transaction_commits_or_rolls_back(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute("UPDATE thing SET amount_fen = 7 WHERE id = 2")

    async def fails() -> None:
        async with connection.transaction():
            await connection.execute("UPDATE thing SET amount_fen = 8 WHERE id = 2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await connection.fetch_value("SELECT amount_fen FROM thing WHERE id = 2") == 7


async def test_copy_both_ways(connection: Connection) -> None:
    rows = [(10 + n, n + 1, f"a,{n}", None) for n in range(100)]
    assert await connection.copy_rows_in("thing", ["id", "amount_fen", "account", "parent"], rows) == 100
    sink = io.BytesIO()
    query = "SELECT id, account FROM thing WHERE id > $1 ORDER BY id"
    assert await connection.copy_query_to(query, 107, sink=sink, header=True) == 2
    assert sink.getvalue() == b'id,account\n108,"a,98"\n109,"a,99"\n'
    source = io.BytesIO(b"id,amount_fen\n500,1\n501,2\n")
    assert await connection.copy_file_in("thing", ["id", "amount_fen"], source, header=True) == 2
    assert await connection.fetch_value("SELECT sum(amount_fen)::bigint FROM thing WHERE id >= 500") == 3


async def test_stream_listen_and_pool(dsn: str, connection: Connection) -> None:
    async with connection.transaction(read_only=True):
        assert [row["id"] async for row in connection.stream("SELECT id FROM thing ORDER BY id")] == [1, 2]
    heard: asyncio.Queue[str] = asyncio.Queue()
    await connection.listen("cutoff", heard.put_nowait)
    pool = await create_pool(dsn, size=2, search_path="room")
    async with pool.acquire() as one, pool.acquire() as two:
        assert one.backend_pid != two.backend_pid
        await one.execute("NOTIFY cutoff, '2026-11-25'")
        with pytest.raises(ConnectionLost):
            async with pool.acquire(timeout_seconds=0.05):
                pass
    assert await asyncio.wait_for(heard.get(), 10) == "2026-11-25"
    await pool.close()


async def test_session_settings(connection: Connection) -> None:
    row = await connection.fetch_row(
        "SELECT current_setting('search_path') AS path, current_setting('application_name') AS name, now() AS now"
    )
    assert row is not None
    assert (row["path"], row["name"], str(row["now"].tzinfo)) == ("room", "test of the door", "UTC")


class AfterTheLastWord:
    """A driver's connection whose server has said its last word, not yet seen to be closed."""

    async def execute(self, _sql: str) -> str:
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


async def test_a_session_in_no_known_state_is_lost() -> None:
    with pytest.raises(ConnectionLost):
        await Connection(AfterTheLastWord()).execute("ROLLBACK")
