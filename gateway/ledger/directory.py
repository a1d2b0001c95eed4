"""The directory of payment numbers, kept fresh while the gateway runs.

Strategy: one connection listens, then reads everything; an import says NOTIFY in the transaction that adds numbers, and
all is read again (rows are only ever added, and few). Rule: a connection that is lost is replaced and all is read
again, since what was said meanwhile was not heard.
"""

from __future__ import annotations

import asyncio

import structlog

from gateway.database import Connection, DatabaseError, connect
from gateway.ledger.partitions import DIRECTORY_CHANNEL, Directory, load_directory

log = structlog.get_logger(__name__)

# How soon a silent loss of the connection is noticed, and how long to wait before another try.
_LOOK_EVERY_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class WatchedDirectory:
    """`start`, then `home(customer_no)` as often as you like, then `stop`."""

    def __init__(self, dsn: str, partitions: int) -> None:
        self._dsn = dsn
        self._partitions = partitions
        self._directory = Directory(partitions)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def home(self, customer_no: str) -> int:
        return self._directory.home(customer_no)

    async def start(self) -> None:
        """Read it once (raising what goes wrong), then keep it fresh."""
        connection = await self._read_through_a_new_connection()
        self._task = asyncio.create_task(self._watch(connection), name="directory of payment numbers")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read_through_a_new_connection(self) -> Connection:
        connection = await connect(self._dsn, application_name="busbar directory")
        try:
            await connection.listen(DIRECTORY_CHANNEL, lambda _payload: self._changed.set())
            self._directory = await load_directory(connection, self._partitions)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _watch(self, connection: Connection) -> None:
        while True:
            try:
                await self._follow(connection)
            except DatabaseError as error:
                log.warning("directory not refreshed", error=str(error))
            finally:
                await connection.close()
            connection = await self._reconnected()

    async def _follow(self, connection: Connection) -> None:
        """Read again at every change, until the connection is lost."""
        while not connection.is_closed:
            try:
                await asyncio.wait_for(self._changed.wait(), _LOOK_EVERY_SECONDS)
            except TimeoutError:
                continue
            self._changed.clear()
            self._directory = await load_directory(connection, self._partitions)

    async def _reconnected(self) -> Connection:
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                return await self._read_through_a_new_connection()
            except DatabaseError as error:
                log.warning("directory has no database", error=str(error))
