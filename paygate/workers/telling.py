"""What engines write to the log of each charge: one line with fields, for whatever counts them."""

from __future__ import annotations

import logging

from ..procedures.due import Backlog, DueReport

log = logging.getLogger("paygate.workers")
OUTCOMES = ("paid", "declined", "unknown", "waiting")


def tell(gateway: str, report: DueReport) -> None:
    """Log what became of each charge of a report. Order ids and outcomes only, nothing about a payer."""
    for outcome in OUTCOMES:
        for order_id in getattr(report, outcome):
            log.log(logging.WARNING if outcome == "unknown" else logging.INFO, "%s %s: %s", gateway, order_id, outcome,
                    extra={"gateway": gateway, "order_id": order_id, "outcome": outcome})
    for order_id, why in report.failed.items():
        log.error("%s %s: failed: %s", gateway, order_id, why,
                  extra={"gateway": gateway, "order_id": order_id, "outcome": "failed"})


def tell_backlog(gateway: str, behind: Backlog) -> None:
    """Log how far behind the workers are."""
    log.info("%s: %d due, the oldest %.0f s late", gateway, behind.due, behind.lag_s,
             extra={"gateway": gateway, "due": behind.due, "lag_s": behind.lag_s})
