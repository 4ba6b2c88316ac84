"""The door to Procrastinate: many workers on many hosts, with the jobs in the ledger's own PostgreSQL database.

Only what is due now becomes a job. A job may be lost, run twice or stay where it is for ever: the claim behind it runs
out, and it is claimed and fed again.
"""

from __future__ import annotations

from typing import Any

from procrastinate import App, PsycopgConnector

from ..async_gateway import AsyncGateway
from ..errors import BadSettings, NotSent, OutcomeUnknown
from ..procedures.due import allowed, backlog
from .pace import check_shared_pace
from .telling import log, tell, tell_backlog

_EVERY_SECOND = "* * * * * *"
_EVERY_MINUTE = "* * * * *"


def install(app: App, gate: AsyncGateway, *, queue: str = "paygate", most_waiting: int = 500,
            per_s: float | None = None) -> None:
    """Have the workers of `app` charge what is due at `gate`.

    Each second one of them claims what is due and makes a job of each charge, in one transaction, until `most_waiting`
    wait, and at most `per_s` of them, however many workers there are; each minute one settles what is in doubt.
    `app` and the ledger of `gate` are in one PostgreSQL database.

    Raises: BadSettings.
    """
    if not isinstance(app.connector, PsycopgConnector):
        raise BadSettings("paygate feeds an app with a PsycopgConnector: jobs and claims become durable together")
    if type(most_waiting) is not int or not 1 <= most_waiting <= 10_000:
        raise BadSettings("most_waiting is 1 to 10,000 jobs")
    check_shared_pace(gate._driver.ledger, per_s)
    connector, name = app.connector, f"paygate.{gate.name}"

    @app.task(name=f"{name}.execute", queue=queue)
    async def execute(id: str, fence: int) -> None:
        try:
            tell(gate.name, (await gate.execute(id, fence)))
        except OutcomeUnknown as error:  # The ledger's trouble; the claim runs out, and it is fed again.
            log.warning("%s %s: %s", gate.name, id, error)

    # No lock on what feeds: a worker that is killed would hold it for ever. Two at once do no harm.
    @app.periodic(cron=_EVERY_SECOND)
    @app.task(name=f"{name}.feed", queue=queue, queueing_lock=f"{name}.feed", priority=100)
    async def feed(timestamp: int) -> None:
        room = most_waiting - await _waiting(app, queue, f"{name}.execute")
        try:
            room = 0 if room < 1 else await gate._run(allowed(gate._account, room, per_s))
            if room < 1:
                return
            async with connector.pool.connection() as connection, connection.transaction():
                async with gate.joining(connection) as joined:
                    rows = await joined.claim(room)
                jobs: list[Any] = [{"id": row.id, "fence": row.fence} for row in rows]
                if jobs:
                    await execute.configure(connection=connection).batch_defer_async(*jobs)
        except (NotSent, OutcomeUnknown) as error:
            log.warning("%s: nothing was claimed: %s", gate.name, error)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name=f"{name}.reconcile", queue=queue, queueing_lock=f"{name}.reconcile", priority=50)
    async def reconcile(timestamp: int) -> None:
        try:
            tell_backlog(gate.name, await gate._run(backlog(gate._account)))
            await gate.reconcile()
        except OutcomeUnknown as error:
            log.warning("%s: %s", gate.name, error)


async def _waiting(app: App, queue: str, task: str) -> int:
    found: list[Any] = list(await app.job_manager.list_queues_async(queue=queue, task=task, status="todo"))
    return sum(one["todo"] for one in found)
