"""The embedded runner: one process that charges what is due, many at a time, within the PG's limits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from attrs import define, field

from ..async_gateway import AsyncGateway
from ..errors import BadCommand, BadSettings, OutcomeUnknown
from ..ledger.row import Closed, Row
from ..procedures.due import DueReport, backlog, let_go, run_one
from .pace import Pace

_BATCH = 200
_RECONCILE_S = 5.0


@define
class Tally:
    """What a worker has done so far."""

    taken_up: int = 0
    paid: int = 0
    declined: int = 0
    unknown: int = 0
    waiting: int = 0
    failed: int = 0
    due: int = 0
    """What was due and not decided at the last look, counted up to a thousand."""
    lag_s: float = 0.0
    """How late the oldest of it was."""
    began: float = field(factory=time.monotonic)

    def add(self, report: DueReport) -> None:
        self.taken_up += report.taken_up
        self.paid += len(report.paid)
        self.declined += len(report.declined)
        self.unknown += len(report.unknown)
        self.waiting += len(report.waiting)
        self.failed += len(report.failed)

    @property
    def per_s(self) -> float:
        """Charges carried out per second so far."""
        return self.taken_up / max(time.monotonic() - self.began, 1e-9)


Heard = Callable[[Tally, DueReport], None]
Looked = Callable[[Tally], None]


async def work(gate: AsyncGateway, *, concurrent: int = 20, per_s: float | None = None, poll_s: float = 1.0,
               until_empty: bool = False, stop: asyncio.Event | None = None, heard: Heard | None = None,
               looked: Looked | None = None) -> Tally:
    """Charge what is due, `concurrent` at a time and at most `per_s` a second, until `stop` is set.

    `per_s` holds for all workers together that say it on one ledger; `concurrent` is this one's.

    `until_empty` ends it when nothing is due any more; otherwise it looks again every `poll_s` seconds, and settles
    what is in doubt in between. After `stop` nothing new is taken up, and what was begun is finished.
    `heard` is told after each charge, `looked` every five seconds how far behind it is, and once where it ends
    by itself. Some are claimed ahead, so that no turn waits for a claim.

    Raises: BadCommand; BadSettings where the ledger was moved away. One that cannot be reached is waited for.
    """
    if type(concurrent) is not int or not 1 <= concurrent <= 10_000:
        raise BadCommand("concurrent is 1 to 10,000 charges at a time; nothing was sent")
    stop = stop or asyncio.Event()
    pace, tally, busy, done = Pace(per_s, gate), Tally(), set[asyncio.Task[None]](), asyncio.Event()
    ahead, spare = deque[Row](), min(concurrent // 4, _BATCH)
    asked = claimed = time.monotonic()
    settling: asyncio.Task[None] | None = None
    is_dry = False  # Whether the last claim found less than was asked for.

    async def carry_out(row: Row) -> None:
        if not await pace.wait(stop):
            ahead.append(row)
            return
        try:
            report = await gate._run(run_one(gate._account, row))
        except OutcomeUnknown as error:  # The ledger's trouble; the claim runs out, and it is taken up again.
            report = DueReport(taken_up=1, failed={row.id: str(error)})
        tally.add(report)
        if heard is not None:
            heard(tally, report)

    async def lane(row: Row) -> None:
        await carry_out(row)
        while ahead and not stop.is_set():
            row = ahead.popleft()
            if len(ahead) == spare // 2:
                done.set()
            await carry_out(row)

    def over(task: asyncio.Task[None]) -> None:
        busy.discard(task)
        done.set()

    try:
        while not stop.is_set():
            if not is_dry and len(ahead) <= spare // 2 and (room := concurrent + spare - len(busy) - len(ahead)) > 0:
                claimed, wanted = time.monotonic(), min(room, _BATCH)
                rows = await _claimed(gate, wanted)
                is_dry = len(rows) < wanted
                ahead.extend(rows)
                if not rows and not busy and until_empty:
                    break
            while ahead and len(busy) < concurrent and not stop.is_set():
                task = asyncio.create_task(lane(ahead.popleft()))
                busy.add(task)
                task.add_done_callback(over)
            await _pause(done, stop, 0 if not is_dry and len(busy) < concurrent else poll_s)
            done.clear()
            if is_dry and ((until_empty and not busy) or time.monotonic() - claimed >= poll_s):
                is_dry = False
            if settling is not None and settling.done():
                settling = settling.result()
            if settling is None and time.monotonic() - asked >= _RECONCILE_S:
                asked = time.monotonic()
                settling = asyncio.create_task(_settled(gate, tally, looked))
    except BaseException:
        stop.set()  # Nothing that waits for its turn is begun any more.
        raise
    finally:
        await asyncio.gather(*busy, *([] if settling is None else [settling]), return_exceptions=True)
        for row in ahead:
            await _let_go(gate, row)
    if not stop.is_set():
        await _measured(gate, tally, looked)
    return tally


async def _claimed(gate: AsyncGateway, limit: int) -> list[Row]:
    try:
        return await gate.claim_due(limit)
    except OutcomeUnknown as error:
        if isinstance(error.__cause__, Closed):  # No later turn does better.
            raise BadSettings(f"{error.__cause__}; this worker has ended what it began") from None
        return []  # The ledger cannot be used; asked again at the next turn.


async def _let_go(gate: AsyncGateway, row: Row) -> None:
    try:
        await gate._run(let_go(gate._account, row))
    except OutcomeUnknown:
        pass  # The claim runs out by itself.


async def _measured(gate: AsyncGateway, tally: Tally, looked: Looked | None) -> None:
    try:
        behind = await gate._run(backlog(gate._account))
    except OutcomeUnknown:
        return  # Asked again at the next turn.
    tally.due, tally.lag_s = behind.due, behind.lag_s
    if looked is not None:
        looked(tally)


async def _settled(gate: AsyncGateway, tally: Tally, looked: Looked | None) -> None:
    await _measured(gate, tally, looked)
    try:
        await gate.reconcile()
    except OutcomeUnknown:
        pass  # Asked again at the next turn.


async def _pause(done: asyncio.Event, stop: asyncio.Event, poll_s: float) -> None:
    """Until a charge is done, `stop` is set, or it is time to look again."""
    waits = [asyncio.create_task(event.wait()) for event in (done, stop)]
    try:
        await asyncio.wait(waits, timeout=poll_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
