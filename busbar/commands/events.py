"""`busbar events`: how far subscribers were told of payments, and what becomes of dead letters.

Strategy: everything is read from and marked in the ledger's database; the gateway that runs does the telling. Customers
are not shown: the reference number finds them for who may look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from busbar.installations import DatabaseAccess
    from gateway.config import Installation
    from gateway.events.letters import LetterLine, SubscriptionStatus

_Result = TypeVar("_Result")
_INSTALLATION = click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)


@click.group(name="events")
def command() -> None:
    """Payment events 缴费事件推送: who was told, what was set aside."""


@command.command()
@_INSTALLATION
def status(installation: Path) -> None:
    """Show each subscriber's progress by partition 推送进度."""
    from gateway.clock import now
    from gateway.events import letters

    with _opened(installation) as (checked, access):
        found = asyncio.run(letters.status(access.gateway_dsn, checked.partitions))
    configured = {one.name for one in checked.settings.events}
    for one in found:
        note = "" if one.subscriber in configured else "  not configured any more 已不在配置中"
        click.echo(_status_line(one, now()) + note)
    for name in sorted(configured - {one.subscriber for one in found}):
        click.echo(f"{name:<24} begins when `busbar serve` starts 待启动")
    if not found and not configured:
        click.echo("nobody subscribes 没有订阅方")


def _status_line(one: SubscriptionStatus, now: Any) -> str:
    oldest = one.oldest_recorded_at
    age = "" if oldest is None else f", oldest {max(0, round((now - oldest).total_seconds()))} s"
    served = "told" if one.is_served else "nobody tells"
    return (
        f"{one.subscriber:<24} partition {one.partition:02d}  {served}  waiting {one.waiting}{age}  "
        f"trying {one.trying}  behind {one.behind}  dead {one.dead}"
    )


@command.command()
@click.option("--subscriber", help="of this subscriber alone 订阅方")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="of each partition 条数")
@_INSTALLATION
def dead(subscriber: str | None, limit: int, installation: Path) -> None:
    """List what was set aside 未送达清单: the first event of each customer's queue, and how many stand behind it."""
    from gateway.events import letters

    with _opened(installation) as (checked, access):
        found = asyncio.run(letters.letters(access.gateway_dsn, checked.partitions, subscriber, limit))
        zone = checked.zone
    for one in sorted(found, key=lambda line: (line.set_aside_at, line.reference_no)):
        click.echo(_letter_line(one, zone))
    if not found:
        click.echo("nothing is set aside 没有未送达事件")


def _letter_line(one: LetterLine, zone: Any) -> str:
    moment = one.recorded_at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    return (
        f"{one.subscriber:<24} {one.reference_no}  {one.kind:<18} {moment}  {one.state.value:<6} "
        f"behind {one.behind}  attempts {one.attempts}  {one.reason}"
    )


@command.command()
@click.argument("subscriber")
@click.argument("reference_no", required=False)
@click.option("--all", "everything", is_flag=True, help="every dead letter of the subscriber 全部")
@_INSTALLATION
def redeliver(subscriber: str, reference_no: str | None, everything: bool, installation: Path) -> None:
    """Have SUBSCRIBER told again 重新推送: the queue of the customer of event REFERENCE_NO, or --all of them."""
    from gateway.clock import now
    from gateway.events import letters

    if (reference_no is None) != everything:
        raise click.UsageError("name the event's REFERENCE_NO, or say --all.")
    freed = _run(
        installation,
        lambda dsn, partitions: letters.redeliver(dsn, partitions, subscriber, reference_no, now()),
    )
    for number in freed:
        click.echo(number)
    click.echo(f"{len(freed)} queues will be told again, each in its order 将重新推送")


@command.command()
@click.argument("subscriber")
@click.argument("reference_no")
@_INSTALLATION
def discard(subscriber: str, reference_no: str, installation: Path) -> None:
    """Never tell SUBSCRIBER of event REFERENCE_NO 放弃推送; what stands behind it is next. It stays in the ledger."""
    from gateway.clock import now
    from gateway.events import letters

    _run(installation, lambda dsn, partitions: letters.discard(dsn, partitions, subscriber, reference_no, now()))
    click.echo(f"{reference_no} will not be told 已放弃")


def _run(folder: Path, work: Callable[[str, int], Coroutine[Any, Any, _Result]]) -> _Result:
    from gateway.events.letters import EventsRefusedError

    with _opened(folder) as (checked, access):
        try:
            return asyncio.run(work(access.gateway_dsn, checked.partitions))
        except EventsRefusedError as error:
            raise click.ClickException(str(error)) from None


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Installation, DatabaseAccess]]:
    from busbar.installations import load_installation, open_database

    checked = load_installation(folder)
    with open_database(checked) as access:
        yield checked, access
