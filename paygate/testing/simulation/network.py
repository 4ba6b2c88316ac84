"""The network between a simulated merchant and the PG: an emulator's transport on which anything may go wrong."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from ..asks import Asks
from ..emulator import Answer, Broken, Call, FaultKind
from ..transport import EmulatorTransport
from .faults import Odd, Trouble, Weather
from .recorder import Recorder


class Network(EmulatorTransport):
    """Time passes on it: a little with every answer, `timeout_s` where none comes, minutes where the process stands."""

    def __init__(self, recorder: Recorder, weather: Weather, rng: Random, *, timeout_s: float) -> None:
        super().__init__(recorder.emulator)
        self._recorder = recorder
        self._weather = weather
        self._rng = rng
        self._timeout_s = timeout_s
        self._now: tuple[Asks, Trouble | None] = Asks(kind="other"), None

    def _will_refuse(self, call: Call) -> bool:
        # Asked before the request starts to leave: here its fate is drawn.
        asks = self.emulator.asks(call)
        self._now = asks, (trouble := self._weather.draw(asks))
        if trouble is Odd.PAUSED:
            self.emulator.clock.advance(self._rng.choice((0.5, 5.0, 95.0, 200.0)))
        return trouble is FaultKind.REFUSE

    def exchange(self, call: Call, request: Any) -> Answer:
        asks, trouble = self._now
        clock = self.emulator.clock
        clock.advance(self._rng.random() * 0.2)
        if trouble is FaultKind.REFUSE:
            return Broken("refuse")
        answer = self._recorder.exchange(call, asks, trouble)
        hangs = isinstance(answer, Broken) and answer.how == "hang"
        clock.advance(self._timeout_s if hangs else self._rng.random() * 0.2)
        return answer

    async def handle_async_request(self, request: Any) -> Any:
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)  # Others run before this is sent, and before its answer is read.
        answer = await super().handle_async_request(request)
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)
        return answer
