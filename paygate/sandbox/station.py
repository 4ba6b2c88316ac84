"""One emulated PG of a sandbox: its emulator, what was asked of it (without secrets), its webhooks' deliveries."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from ..testing.emulator import Answer, Broken, Call, Emulator, FaultKind, Hook
from .courier import Courier
from .guard import refuse_strangers

CALLS_KEPT = 1000
# A word of an API: lower case, perhaps camelCase or with dashes, or a version. Everything else may be somebody's id.
_WORD = re.compile(r"[a-z]+(?:[A-Z][a-z]+)*(?:[-_.][a-z]+)*|v[0-9]{1,2}")
_WORD_LIMIT = 24


@frozen(kw_only=True)
class Seen:
    """A call and how it ended: `status` of the answer, or `broken` ("drop", "reset", …). It may hold secrets."""

    at: datetime
    call: Call = field(repr=False)
    status: int | None
    broken: str | None


class Station:
    """An emulator among others on one clock; `lock` is held around everything that touches it.

    `built_in`: its provider comes with paygate and is no plugin.
    """

    def __init__(self, emulator: Emulator, lock: AbstractContextManager[Any], changed: Callable[[], None], *,
                 built_in: bool = False) -> None:
        self.emulator = emulator
        self.built_in = built_in
        self.calls: deque[Seen] = deque(maxlen=CALLS_KEPT)
        self.courier = Courier(lambda: emulator.hooks, lock, changed)
        self._lock = lock

    @property
    def name(self) -> str:
        return self.emulator.name

    async def handle(self, call: Call) -> Answer:
        """Let the emulator answer, one call at a time."""
        if (refused := refuse_strangers(call)) is not None:
            return refused
        with self._lock:
            answer = self.emulator.handle(call)
            status, broken = (None, answer.how) if isinstance(answer, Broken) else (answer.status, None)
            self.calls.append(Seen(at=self.emulator.clock.now(), call=call, status=status, broken=broken))
        return answer

    def refuses(self) -> bool:
        """True, once, for each "refuse" that is dialled next for whatever call comes: it need not be read first."""
        with self._lock:
            first = next(iter(self.emulator.faults), None)
            if first is None or first.kind is not FaultKind.REFUSE or first.on != ".*":
                return False
            first.times -= 1
            self.emulator.faults = [fault for fault in self.emulator.faults if fault.times > 0]
            return True

    async def deliver(self) -> None:
        """Deliver the emulator's webhooks, until cancelled."""
        loop = asyncio.get_running_loop()
        before = self.emulator.on_hook

        def on_hook(hook: Hook) -> None:
            if before is not None:
                before(hook)
            self.courier.accept(len(self.emulator.hooks) - 1, loop)

        self.emulator.on_hook = on_hook
        try:
            await self.courier.work()
        finally:
            with self._lock:
                self.emulator.on_hook = before

    def shown_calls(self) -> list[dict[str, Any]]:
        """The last calls, oldest first, as they may be shown: of headers and query fields the names alone, and `{}` for
        each part of a path that may be an id, unless the journal shows that id anyway."""
        known = {key for m in self.emulator.journal.entries for key in (m.order_id, m.provider_id)}

        def masked(text: str) -> str:
            return text if text in known or _is_word(text) else "{}"

        return [{
            "at": seen.at.isoformat(), "method": seen.call.method,
            "path": "/".join(masked(unquote(segment)) if segment else "" for segment in seen.call.path.split("/")),
            "query": [masked(name) for name, _ in parse_qsl(seen.call.query, keep_blank_values=True)],
            "headers": sorted(seen.call.headers), "status": seen.status, "broken": seen.broken,
        } for seen in self.calls]


def _is_word(text: str) -> bool:
    return len(text) <= _WORD_LIMIT and _WORD.fullmatch(text) is not None
