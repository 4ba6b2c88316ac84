"""Calls under way: how several are carried out at once, effect by effect, and how a process dies in the middle.

`Steps` steps through procedures with the real blocking driver; `Loop` runs the asynchronous face in an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol

from attrs import define, field

from ...clock import Clock
from ...drive import Driver
from ...procedures.steps import Alone, Effect, Steps
from .recorder import CALLING


@define(eq=False)
class Job:
    """A call of the merchant: what is to be carried out at which process, and what to do with what it says."""

    begun: Any
    call: int
    tell: Callable[[Any, BaseException | None], object]
    gate: int


@define
class Fate:
    """What strikes a group of calls: after `dies_after` effects process `dies` is gone; effect number `interrupts_at`
    of the first is an interrupt; before each effect the clock is turned by minutes with probability `pause`.
    """

    dies_after: int | None = None
    dies: int = 0
    interrupts_at: int | None = None
    pause: float = 0.0


class Carrier(Protocol):
    """Carries calls out."""

    def prepare(self, gate: Any) -> Any:
        """Make a gateway's calls ones that this carrier can carry out."""
        ...

    def carry(self, jobs: Sequence[Job], fate: Fate) -> int | None:
        """Carry `jobs` out to their end; returns the process that died, if one did."""
        ...

    def whole(self, begun: Any) -> Any:
        """Carry out one call from beginning to end; returns its result."""
        ...

    def close(self) -> None: ...


class Stepper(Driver):
    """A driver that begins a procedure and leaves it to others to carry it out: `run` returns a `Task`."""

    def run(self, steps: Steps[Any], end: float | None = None) -> Any:
        return Task(self, steps)

    def perform(self, effect: Effect) -> Any:
        """Carry out one effect. What runs alone is not interrupted by other tasks."""
        return super().run(effect.steps) if isinstance(effect, Alone) else self._do(effect, self._end())


def step_by_step(gate: Any) -> Any:
    """Make a blocking gateway's calls return tasks. Its driver is the real one in everything but when."""
    gate._driver.__class__ = Stepper
    return gate


@define(eq=False)
class Task:
    """One call under way. `step()` carries out its next effect; what it yields is seen by the procedure a step later.

    So whatever other tasks do in between happens before the procedure learns of its own effect.
    """

    driver: Stepper
    steps: Steps[Any]
    is_over: bool = False
    result: Any = None
    error: BaseException | None = None
    effects: int = 0
    _value: Any = None
    _raised: BaseException | None = None

    def step(self, interrupt: BaseException | None = None) -> None:
        """Tell the procedure of its last effect and carry out the next one, or strike with `interrupt` instead."""
        if (effect := self._next()) is None:
            return
        self.effects += 1
        self._value, self._raised = None, interrupt
        if interrupt is not None:
            return
        try:
            self._value = self.driver.perform(effect)
        except BaseException as error:
            self._raised = error

    def _next(self) -> Effect | None:
        try:
            return self.steps.send(self._value) if self._raised is None else self.steps.throw(self._raised)
        except StopIteration as stop:
            self.result = stop.value
        except BaseException as error:
            self.error = error
        self.is_over = True
        return None

    def die(self) -> None:
        """The process is gone: nothing of this call is carried out any more."""
        self.steps.close()
        self.is_over = True


@define(eq=False)
class Stepping:
    """Carries calls out by stepping: any of them may be next after each effect."""

    rng: Random
    clock: Any

    def prepare(self, gate: Any) -> Any:
        return step_by_step(gate)

    def carry(self, jobs: Sequence[Job], fate: Fate) -> int | None:
        alive, done = list(jobs), 0
        while alive:
            if done == fate.dies_after:
                for job in alive:
                    job.begun.die() if job.gate == fate.dies else None
                alive = [job for job in alive if job.gate != fate.dies]
                done += 1
                continue
            job = alive[0] if len(alive) == 1 else self.rng.choice(alive)
            if fate.pause and self.rng.random() < fate.pause:
                self.clock.advance(self.rng.choice((31.0, 101.0, 250.0)))
            CALLING.set(job.call)
            strikes = job is jobs[0] and job.begun.effects == fate.interrupts_at
            job.begun.step(KeyboardInterrupt() if strikes else None)
            done += 1
            if job.begun.is_over:
                alive.remove(job)
                job.tell(job.begun.result, job.begun.error)
        CALLING.set(None)
        return fate.dies if fate.dies_after is not None and done > fate.dies_after else None

    def whole(self, begun: Any) -> Any:
        while not begun.is_over:
            begun.step()
        if begun.error is not None:
            raise begun.error
        return begun.result

    def close(self) -> None:
        pass


@define(eq=False)
class Loop:
    """Carries calls of the asynchronous face out in one event loop; an interrupt is a cancelled task.

    A process dies between calls only.
    """

    rng: Random
    clock: Clock
    _runner: asyncio.Runner = field(factory=asyncio.Runner)

    def prepare(self, gate: Any) -> Any:
        return gate

    def carry(self, jobs: Sequence[Job], fate: Fate) -> int | None:
        self._runner.run(self._all(jobs, fate))
        return fate.dies if fate.dies_after is not None else None

    async def _all(self, jobs: Sequence[Job], fate: Fate) -> None:
        tasks = [asyncio.ensure_future(self._one(job)) for job in jobs]
        for _ in range((fate.interrupts_at or 0) + 1):  # Once at least, so that every call has begun.
            await asyncio.sleep(0)
        if fate.interrupts_at is not None:
            tasks[0].cancel()
        await asyncio.wait(tasks)
        for job, task in zip(jobs, tasks, strict=True):
            if task.cancelled():
                job.tell(None, asyncio.CancelledError())
            else:
                task.result()

    async def _one(self, job: Job) -> None:
        CALLING.set(job.call)
        result, error = None, None
        try:
            result = await job.begun
        except Exception as raised:
            error = raised
        job.tell(result, error)

    def whole(self, begun: Any) -> Any:
        return self._runner.run(begun)

    def close(self) -> None:
        self._runner.close()
