"""Procedures that are carried out effect by effect, so that others run in between and a process can die anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from ...drive import Driver
from ...procedures.steps import Alone, Effect, Steps


class Stepper(Driver):
    """A driver that begins a procedure and leaves it to others to carry it out: `run` returns a `Task`."""

    def run(self, steps: Steps[Any]) -> Any:
        return Task(self, steps)

    def perform(self, effect: Effect) -> Any:
        """Carry out one effect. What runs alone is not interrupted by other tasks."""
        return super().run(effect.steps) if isinstance(effect, Alone) else self._do(effect)


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
        self._value = self._raised = None
        if interrupt is not None:
            self._raised = interrupt
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
class Job:
    """A task, the merchant's call it belongs to, and what to do with what it says."""

    task: Task
    call: int
    tell: Callable[[Any, BaseException | None], object]
    gate: int
