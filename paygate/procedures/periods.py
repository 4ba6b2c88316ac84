"""Renewals that the PG makes by itself and no webhook told: read off its subscriptions, once a period.

Beside each subscription that the PG runs stands a row that says when to look next; where events are kept, and like them
under a name of its own.
"""

from __future__ import annotations

from ..errors import NotFound
from ..ledger.row import Book, Row, State
from ..subscriptions import Subscription, SubscriptionStatus
from .account import Account
from .outcome import reason
from .reading import look_up
from .receive import take_record
from .reconcile import Report
from .settle import payment_of
from .steps import Entry, Steps, change, get_row
from .subscribe import place, subscription
from .talk import Talk

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_LATEST_S = 32 * _DAY_S
"""A merchant may move a date in the PG's console."""
_LEASE_S = 900.0
_NEVER_PAID_S = 30 * _DAY_S


def renewed(account: Account, limit: int, report: Report) -> Steps[None]:
    """Look at up to `limit` subscriptions whose period is over, and take each payment that the PG made for one and the
    ledger does not know as if a webhook had come for it.
    """
    rows: list[Row] = yield Entry("due", (place(account), account.now(), limit))
    for row in rows:
        held = yield from change(row, "looked at", state=row.state, check_at=account.now() + _LEASE_S)
        if held is None:
            continue  # Another worker looks.
        began = yield from get_row(account.scope, Book.PAYMENT, row.order_id)
        if began is None or began.state is not State.ANSWERED:
            over = account.now() - row.opened_at > _NEVER_PAID_S
            yield from _next(account, held, "it has not begun", None if over else _DAY_S)
            continue
        try:
            found = yield from subscription(account, row.order_id)
            yield from _taken(account, began, found, report)
        except Exception as error:
            # A provider's bug too; one subscription's trouble never stops the walk.
            report.failed[row.order_id] = why = reason(error)
            yield from _next(account, held, why, _DAY_S if isinstance(error, NotFound) else _HOUR_S)
            continue
        yield from _next(account, held, f"{found.status.value}", _wait_s(account, found))


def _taken(account: Account, began: Row, found: Subscription, report: Report) -> Steps[None]:
    """Take what the subscription names and the ledger does not know as paid."""
    talk = Talk(account)
    for id in found.renewed_by:
        known: Row | None = yield Entry("by_provider_id", (account.scope, id))
        known = known or (yield from get_row(account.scope, Book.STRAY, id))
        noted = None if known is None else payment_of(known)
        if noted is not None and noted.status.took_money:
            continue
        payment = yield from look_up(account, id, talk)
        if payment is None or payment.provider_id != id or payment.renews != began.provider_id:
            continue
        report.listed += 1
        yield from take_record(account, payment, talk, "subscription")


def _wait_s(account: Account, found: Subscription) -> float | None:
    """Until the next look: an hour after the next charge is due."""
    if found.status is SubscriptionStatus.ENDED:
        return None
    if found.status is SubscriptionStatus.PAST_DUE or found.next_due_at is None:
        return _DAY_S
    until = found.next_due_at.timestamp() - account.now()
    return min(until + _HOUR_S, _LATEST_S) if until > 0 else _HOUR_S


def _next(account: Account, row: Row, note: str, wait_s: float | None) -> Steps[None]:
    if wait_s is None:
        yield from change(row, note, state=State.NOT_SENT, check_at=None)
    else:
        yield from change(row, note, state=row.state, check_at=account.now() + wait_s)
