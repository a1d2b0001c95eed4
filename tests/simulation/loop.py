"""An event loop on which time is a number and processes can be stopped between any two steps.

Strategy: ready callbacks run in the order in which they were made ready; when none is left, time jumps to the next
timer. Nothing sleeps, nothing reads a clock, there are no sockets and no threads, so that a run is a function of what
is put in. Rules:

- a `Machine` is a simulated process. Everything that runs in its context (tasks inherit it) belongs to it;
- while a machine is stalled or dead, its callbacks are parked instead of run: nothing of it moves, no `finally` runs,
  as if the power were gone. A stalled machine goes on later where it was; a dead one never does;
- `after_step` is called after every callback: that is where an auditor looks and where a crash strikes.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")
_MACHINE: ContextVar[Machine | None] = ContextVar("machine", default=None)


class Power(Enum):
    RUNNING = "RUNNING"
    STALLED = "STALLED"
    DEAD = "DEAD"


class Machine:
    """Whose a callback is. `context` is handed to `call_soon` and `create_task` to run something as this machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.power = Power.RUNNING
        self.parked: list[asyncio.Handle] = []
        self.context = copy_context()
        self.context.run(_MACHINE.set, self)


class StuckError(Exception):
    """Nothing is left that could run, or the run takes too many steps."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """See above. `steps` counts the callbacks that ran; `time()` is in seconds since the loop was made."""

    def __init__(self, after_step: Callable[[], None] | None = None) -> None:
        self.steps = 0
        self.after_step = after_step or (lambda: None)
        self.errors: list[dict[str, Any]] = []
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_number = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in the order of their making
        self._machines: dict[Machine, None] = {}
        self._running = False
        self._closed = False

    def run(self, main: Coroutine[Any, Any, T], *, most_steps: int = 1_000_000) -> T:
        """Run until `main` ends. Raises what it or `after_step` raises, and StuckError."""
        events._set_running_loop(self)
        self._running = True
        try:
            task = self.create_task(main)
            while not task.done():
                if not self._step():
                    raise StuckError(f"nothing is left to run at {self._now:.3f} s")
                if self.steps > most_steps:
                    raise StuckError(f"still running after {most_steps} steps, at {self._now:.3f} s")
            return task.result()
        finally:
            self._end()

    def _step(self) -> bool:
        while not self._ready:
            if not self._timers:
                return False
            self._now, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self._ready.append(timer)
        handle = self._ready.popleft()
        if handle.cancelled():
            return True
        machine = handle._context.get(_MACHINE)  # type: ignore[attr-defined]
        if machine is not None and machine.power is not Power.RUNNING:
            machine.parked.append(handle)
            self._machines[machine] = None
            return True
        self.steps += 1
        handle._run()
        self.after_step()
        return True

    def resume(self, machine: Machine) -> None:
        """A stalled machine goes on with everything that happened to it meanwhile."""
        machine.power = Power.RUNNING
        self._ready.extend(machine.parked)
        machine.parked.clear()

    def _end(self) -> None:
        """Unwind every task that is left, dead machines' too, so that none complains when it is collected."""
        self.after_step = lambda: None
        for machine in self._machines:
            self.resume(machine)
        for _ in range(100):
            if not self._tasks:
                break
            for task in list(self._tasks):
                task.cancel()
            while self._ready:
                self._step()
        self._running = False
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        events._set_running_loop(None)

    # --- what asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_number += 1
        if not self._closed:
            heapq.heappush(self._timers, (max(when, self._now), self._timer_number, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the heap until its time comes: rare enough."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception that nobody takes: kept for the auditor, unless the run is over."""
        if not self._closed:
            self.errors.append(context)
