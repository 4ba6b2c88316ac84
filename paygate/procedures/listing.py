"""What no webhook tells, read off the PG's own list of payments, for PGs whose profile says so and that have one."""

from __future__ import annotations

from datetime import UTC, datetime

from ..capability import Capability
from ..ledger.row import Kind, Row, State
from ..model import EventKind, Payment
from .account import Account
from .outcome import reason
from .receive import take_record
from .reconcile import Report
from .steps import Steps, change, open_rows
from .talk import Talk

_EVERY_S, _OVERLAP_S, _DAY_S = 3600.0, 600.0, 86_400.0


def listed(account: Account, report: Report) -> Steps[None]:
    """Once an hour, take what the PG lists since the last time as if a webhook had come for each payment.

    Nothing happens where the profile says that webhooks tell everything, or where the PG lists no payments.
    """
    if not account.spec.profile.hooks_never_sent.value or not account.supports(Capability.LISTING):
        return
    now = account.now()
    # Where events are kept, and like them: `due_at` is until when the list was read.
    fresh = Row(gateway=f"{account.scope}/events", kind=Kind.EVENT, id="listed", order_id="", digest="",
                state=State.ANSWERED, opened_at=now, due_at=now - _EVERY_S)
    (last, _), = yield from open_rows([fresh], "the PG's list")
    if last.due_at is None or now - last.due_at < _EVERY_S:
        return
    # What happened while it was read the last time is read again.
    since = last.due_at - _OVERLAP_S
    while since < now:
        until = min(since + _DAY_S, now)
        talk = Talk(account)
        try:
            payments: tuple[Payment, ...] = yield from talk.say(account.provider.listing(_at(since), _at(until)))
        except Exception as error:
            # A provider's bug too: the row stays as it is, so that the list is asked for again.
            report.failed["the PG's list"] = reason(error)
            return
        for payment in payments:
            yield from _listed(account, payment, talk, report)
        since = until
    yield from change(last, "the PG's list was read", state=last.state, due_at=now)


def _listed(account: Account, payment: Payment, talk: Talk, report: Report) -> Steps[None]:
    report.listed += 1
    try:
        happened = yield from take_record(account, payment, talk, "listing")
    except Exception as error:
        report.failed[payment.order_id] = reason(error)
        return
    if happened.kind is EventKind.UNMATCHED and happened.is_news:
        report.orphans.append(payment.provider_id or payment.order_id)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
