"""The loop itself: time that jumps, machines that stop between two steps, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from .loop import Machine, Power, StuckError, VirtualLoop


def test_time_jumps_to_the_next_timer() -> None:
    loop = VirtualLoop()

    async def main() -> list[float]:
        seen = []
        for seconds in (0.5, 3600.0, 0.0):
            await asyncio.sleep(seconds)
            seen.append(loop.time())
        return seen

    assert loop.run(main()) == [0.5, 3600.5, 3600.5]


def test_order_is_by_time_then_by_asking() -> None:
    loop, seen = VirtualLoop(), list[str]()

    async def main() -> None:
        loop.call_later(2, seen.append, "late")
        loop.call_later(1, seen.append, "a")
        loop.call_later(1, seen.append, "b")
        loop.call_soon(seen.append, "now")
        cancelled = loop.call_later(1, seen.append, "never")
        cancelled.cancel()
        await asyncio.sleep(3)

    loop.run(main())
    assert seen == ["now", "a", "b", "late"]


def test_timeouts_and_tasks_work_as_ever() -> None:
    loop = VirtualLoop()

    async def main() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 1)
        lock, order = asyncio.Lock(), []
        async with lock:
            waiting = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0)
            order.append(waiting.done())
        await waiting
        results = await asyncio.gather(asyncio.sleep(5, "x"), asyncio.sleep(1, "y"))
        return f"{order} {results} {loop.time()}"

    assert loop.run(main()) == "[False] ['x', 'y'] 6.0"


def machine_at_work(loop: VirtualLoop, seen: list[object]) -> Machine:
    """A machine that notes each second, and whether it was unwound."""
    machine = Machine("m")

    async def work() -> None:
        try:
            for second in range(5):
                seen.append(second)
                await asyncio.sleep(1)
        finally:
            seen.append("unwound")

    loop.create_task(work(), context=machine.context)
    return machine


@pytest.mark.parametrize("stop_at", [0.5, 1.0, 1.5, 3.2])
def test_a_dead_machine_does_nothing_more_not_even_finally(stop_at: float) -> None:
    loop, seen = VirtualLoop(), list[object]()
    at_the_end: list[object] = []

    async def main() -> None:
        machine = machine_at_work(loop, seen)
        await asyncio.sleep(stop_at)
        machine.power = Power.DEAD
        before = list(seen)
        await asyncio.sleep(10)
        assert seen == before
        at_the_end.extend(before)

    loop.run(main())
    assert "unwound" not in at_the_end
    assert seen[-1] == "unwound", "the loop leaves nothing behind"


def test_a_stalled_machine_goes_on_where_it_was() -> None:
    loop, seen = VirtualLoop(), list[object]()

    async def main() -> None:
        machine = machine_at_work(loop, seen)
        await asyncio.sleep(1.5)
        machine.power = Power.STALLED
        await asyncio.sleep(20)
        assert seen == [0, 1]
        loop.resume(machine)
        await asyncio.sleep(20)

    loop.run(main())
    assert seen == [0, 1, 2, 3, 4, "unwound"]


def test_a_machine_s_children_are_its_own() -> None:
    loop, seen = VirtualLoop(), list[str]()

    async def child() -> None:
        await asyncio.sleep(2)
        seen.append("child")

    async def parent() -> None:
        asyncio.create_task(child())  # noqa: RUF006 - the loop holds its tasks
        asyncio.get_running_loop().call_later(2, seen.append, "timer")

    async def main() -> None:
        machine = Machine("m")
        await loop.create_task(parent(), context=machine.context)
        machine.power = Power.DEAD
        await asyncio.sleep(5)
        seen.append("end")

    loop.run(main())
    assert seen == ["end"] or seen[0] == "end", "nothing of a dead machine ran before the end"


def test_after_step_sees_every_step_and_may_end_the_run() -> None:
    steps = []

    def look() -> None:
        steps.append(loop.steps)
        if len(steps) == 7:
            raise ArithmeticError

    loop = VirtualLoop(look)

    async def main() -> None:
        while True:  # noqa: ASYNC110 - steps are what is wanted
            await asyncio.sleep(1)

    with pytest.raises(ArithmeticError):
        loop.run(main())
    assert steps == list(range(1, 8))


async def nothing_comes() -> None:
    await asyncio.get_running_loop().create_future()


async def for_ever() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize(("main", "why"), [(nothing_comes, "nothing is left"), (for_ever, "still running")])
def test_a_run_that_does_not_end_is_told(main: Callable[[], object], why: str) -> None:
    with pytest.raises(StuckError, match=why):
        VirtualLoop().run(main(), most_steps=1000)  # type: ignore[arg-type]
