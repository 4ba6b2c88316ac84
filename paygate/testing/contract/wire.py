"""What was really sent: the transport of a contract run, which counts, keeps and disturbs every request by itself.

It asks the emulator for nothing but answers: what left, where to and how often is seen here, whatever a plugin's
emulator says about it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, field, frozen

from ..emulator import Answer, Broken, Call, Emulator, Movement
from ..transport import EmulatorTransport

if TYPE_CHECKING:
    from .troubles import Trouble

LIMIT = 400
"""Requests in one bench; more is a loop that never ends."""


class Runaway(BaseException):
    """A provider that goes on asking. Not an Exception, so that no provider can catch it by accident."""


@frozen(kw_only=True)
class Sent:
    """One request as it left, what came back, and the money that moved while the PG worked on it."""

    call: Call = field(repr=False)
    url: str = field(repr=False)
    at: datetime
    answer: Answer = field(repr=False)
    moved: tuple[Movement, ...]

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.call.method} {self.call.path}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def status(self) -> int | None:
        """The answer's status; None where no complete answer came back."""
        return None if isinstance(self.answer, Broken) else self.answer.status


@define
class Plan:
    """Trouble for the next `times` calls that `on` picks, after `skip` of them."""

    trouble: Trouble
    on: Callable[[Call], bool]
    times: int = 1
    skip: int = 0


class Wire(EmulatorTransport):
    """The transport of a bench."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self.sent: list[Sent] = []
        self.plans: list[Plan] = []

    def plan(self, trouble: Trouble, on: Callable[[Call], bool] = lambda call: True, *, times: int = 1,
             skip: int = 0) -> None:
        """Disturb the next `times` calls that `on` picks, after `skip` of them."""
        self.plans.append(Plan(trouble, on, times, skip))

    def calm(self) -> None:
        """Nothing is disturbed any more."""
        self.plans.clear()

    def since(self, mark: int) -> list[Sent]:
        """What was sent after the first `mark` requests."""
        return self.sent[mark:]

    def truth(self, call: Call) -> Answer:
        """What the PG answers, having done what it does."""
        return Emulator.handle(self.emulator, call)

    def exchange(self, call: Call, request: Any) -> Answer:
        if len(self.sent) >= LIMIT:
            raise Runaway(f"more than {LIMIT} requests; the last one was {call.method} {call.path}")
        entries, plan = self.emulator.journal.entries, self._next(call)
        before = len(entries)
        if plan is not None and plan.skip:
            plan.skip -= 1
            plan = None
        if plan is None:
            answer = self.truth(call)
        else:
            plan.times -= 1
            answer = plan.trouble.meet(self, call)
        self.sent.append(Sent(call=call, url=str(request.url), at=self.emulator.clock.now(), answer=answer,
                              moved=tuple(entries[before:])))
        return answer

    def _next(self, call: Call) -> Plan | None:
        self.plans = [p for p in self.plans if p.times > 0]
        return next((p for p in self.plans if p.on(call)), None)

    def _will_refuse(self, call: Call) -> bool:
        plan = self._next(call)
        return plan is not None and not plan.skip and plan.trouble.is_refused
