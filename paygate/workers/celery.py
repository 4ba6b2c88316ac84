"""The door to Celery: for merchants who run it already. Only what is due now becomes a task; there is never an ETA.

A task may be lost, run twice or late: the claim behind it runs out, and it is claimed and fed again.
"""

from __future__ import annotations

from typing import Any

from celery import Celery  # type: ignore[import-untyped]

from ..errors import BadSettings, OutcomeUnknown
from ..gateway import Gateway
from ..procedures.due import allowed, backlog
from .pace import check_shared_pace
from .telling import log, tell, tell_backlog

_FEED_EVERY_S = 1.0
_RECONCILE_EVERY_S = 60.0


def install(app: Celery, gate: Gateway, *, at_once: int = 100, per_s: float | None = None) -> None:
    """Have the workers of `app` charge what is due at `gate`; its beat claims up to `at_once` charges each second.

    Of those at most `per_s`, whoever else charges on the same ledger with that limit.

    A claim becomes durable before its task is handed to the broker. Where that fails, the claim runs out.

    Raises: BadSettings.
    """
    if type(at_once) is not int or not 1 <= at_once <= 10_000:
        raise BadSettings("at_once is 1 to 10,000 charges")
    check_shared_pace(gate._driver.ledger, per_s)
    name = f"paygate.{gate.name}"

    def execute(id: str, fence: int) -> None:
        try:
            tell(gate.name, gate.execute(id, fence))
        except OutcomeUnknown as error:  # The ledger's trouble; the claim runs out, and it is fed again.
            log.warning("%s %s: %s", gate.name, id, error)

    def feed() -> None:
        try:
            room = gate._run(allowed(gate._account, at_once, per_s))
            rows = gate.claim_due(room) if room else []
        except OutcomeUnknown as error:
            log.warning("%s: nothing was claimed: %s", gate.name, error)
            return
        for row in rows:
            charge.apply_async((row.id, row.fence))

    def reconcile() -> None:
        try:
            tell_backlog(gate.name, gate._run(backlog(gate._account)))
            gate.reconcile()
        except OutcomeUnknown as error:
            log.warning("%s: %s", gate.name, error)

    # Celery need not deliver anything again by itself: the claim runs out. Other apps of this process have their own.
    task: Any = app.task
    once: dict[str, Any] = {"ignore_result": True, "max_retries": 0, "acks_late": False, "shared": False}
    charge = task(name=f"{name}.execute", **once)(execute)
    # A feed that nobody took for a while is worth nothing: the next one finds the same.
    task(name=f"{name}.feed", **once)(feed)
    task(name=f"{name}.reconcile", **once)(reconcile)
    app.conf.beat_schedule = {
        **app.conf.beat_schedule,
        f"{name}.feed": {"task": f"{name}.feed", "schedule": _FEED_EVERY_S, "options": {"expires": 10}},
        f"{name}.reconcile": {"task": f"{name}.reconcile", "schedule": _RECONCILE_EVERY_S, "options": {"expires": 60}}}
