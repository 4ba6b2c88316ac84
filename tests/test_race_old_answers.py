"""A process may stand still between a question and its answer: what was not there then proves nothing of later."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, charge, schedule

from paygate import NotFound, OutcomeUnknown, State
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG
from paygate.testing.transport import EmulatorTransport


class Standing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The process stands still for `seconds` once the PG has answered a look-up, before it reads the answer."""

    emits_trace = True
    seconds = 0.0

    def __init__(self, pg: FakePG) -> None:
        self._pg, self._inner = pg, EmulatorTransport(pg)

    def _stand(self, request: httpx.Request) -> None:
        if request.method == "GET":
            self._pg.clock.advance(self.seconds)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        self._stand(request)
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        self._stand(request)
        return answer


LOOKS: dict[str, tuple[str, Callable[[Shop], Any], Callable[[Shop], Any]]] = {
    "charge again": ("/charges", lambda s: s.charge(charge()), lambda s: s.charge(charge())),
    "find": ("/charges", lambda s: s.charge(charge()), lambda s: s.find("o1")),
    "reconcile": ("/charges", lambda s: s.charge(charge()), lambda s: s.reconcile()),
    "find_schedule": ("/schedules", lambda s: s.schedule(schedule(s, "o1", in_s=86_400)),
                      lambda s: s.find_schedule("o1")),
    "reconcile a schedule": ("/schedules", lambda s: s.schedule(schedule(s, "o1", in_s=86_400)),
                             lambda s: s.reconcile()),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", LOOKS)
def test_an_answer_read_minutes_after_its_question_proves_no_absence(name: str, face: str) -> None:
    call, ask, look = LOOKS[name]
    pg = FakePG()
    http = Standing(pg)
    with Shop(face, pg=pg, http=http) as shop:
        pg.fault(FaultKind.LATE, f"^POST {call}$")  # carried out 70 s later
        with pytest.raises(OutcomeUnknown):
            ask(shop)
        shop.clock.advance(40)
        http.seconds = 200.0  # asked 40 s after the send, read 240 s after it
        try:
            look(shop)
        except (OutcomeUnknown, NotFound):
            pass
        assert shop.row("o1").state is State.UNKNOWN
        http.seconds = 0.0
        shop.clock.advance(4_000)
        shop.reconcile()
        assert shop.row("o1").state is State.ANSWERED
        assert shop.sent(f"POST {call}") == 1
