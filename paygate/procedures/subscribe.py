"""Subscriptions that the PG runs: begun like a payment, then read and changed by the order that began them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ..capability import Capability
from ..errors import BadCommand, NotFound, NotSent, OutcomeUnknown, Refused
from ..flow import Flow
from ..ledger.row import Kind, LedgerError, Row, State
from ..ledger.rules import renewals_digest
from ..model import Checkout, Payment, PaymentStatus
from ..subscriptions import ChangeInterval, ChangeMethod, MoveNext, Renew, Subscribe, Subscription, Unsubscribe
from .account import Account
from .begin import new_row
from .charge import take, told
from .checkout import confirm_row, hint_of, ours, prepare
from .outcome import credentials, not_asked, not_sent
from .renewals import alone, none_in_doubt
from .settle import payment_of
from .steps import Steps, change, open_rows, takes
from .talk import Talk
from .unheard import unsent

Change = Callable[[Subscription], Flow[None]]

WATCHED_AFTER_S = 3600.0


def subscribe(account: Account, command: Subscribe) -> Steps[Checkout]:
    """Prepare a subscription; the payer's approval begins it. Asked again, it hands out the same window again.

    Raises: NotSent, Refused, Conflict, SetupError.
    """
    account.require(Capability.SUBSCRIBE)
    account.check(command)
    row = new_row(account, Kind.SUBSCRIBE, command.order_id, command, money=command.money)
    yield from unsent(_watched(account, command.order_id), command.order_id)
    return (yield from prepare(account, row, partial(account.provider.subscribe, command)))


def place(account: Account) -> str:
    """Under what the ledger keeps when to look for renewals (periods.py)."""
    return f"{account.scope}/periods"


def _watched(account: Account, order_id: str) -> Steps[None]:
    """From now on its renewals are looked for, whoever learns that it has begun."""
    now = account.now()
    fresh = Row(gateway=place(account), kind=Kind.EVENT, id=order_id, order_id=order_id, digest="", state=State.OPENED,
                opened_at=now, check_at=now + WATCHED_AFTER_S)
    (row, is_new), = yield from open_rows([fresh], "its renewals are looked for")
    if not is_new and row.state is State.NOT_SENT:
        yield from change(row, "begun again", state=State.OPENED, check_at=now + WATCHED_AFTER_S)


def confirm_subscription(account: Account, order_id: str, query: Mapping[str, str]) -> Steps[Subscription | None]:
    """Find out what came of `subscribe`: the subscription, or None while the payer has not finished.

    Raises: Declined, Forged, OutcomeUnknown, BadCommand (no such order).
    """
    row = yield from ours(account, order_id, Kind.SUBSCRIBE)
    row, _ = yield from confirm_row(account, row, hint_of(account, query), Talk(account))
    payment = payment_of(row)
    if row.state is State.SENT and (payment is None or payment.status is PaymentStatus.PENDING):
        return None
    told(row)
    return (yield from _paid_for(row, _read(account, row, Talk(account))))


def _paid_for(row: Row, reading: Steps[Subscription | None]) -> Steps[Subscription]:
    """Its first payment was taken: no answer about the subscription may sound as if it were not."""
    try:
        found = yield from reading
    except NotFound as error:
        raise not_asked(f"the subscription of order {row.order_id}", error, order_id=row.order_id) from None
    if found is None:
        raise OutcomeUnknown(f"order {row.order_id} is paid, and the PG does not show its subscription yet; "
                             "ask again later, never subscribe again", order_id=row.order_id,
                             next_step="ask for the subscription again later; never subscribe again")
    return found


def subscription(account: Account, order_id: str) -> Steps[Subscription]:
    """The subscription as the PG has it now.

    Raises: BadCommand (no such order), NotFound (not begun), OutcomeUnknown (the PG could not be asked).
    """
    account.require(Capability.SUBSCRIBE)
    row = yield from ours(account, order_id, Kind.SUBSCRIBE)
    reading = _read(account, row, Talk(account))
    if row.state is State.ANSWERED:
        return (yield from _paid_for(row, reading))
    found = yield from reading
    if found is None:
        raise NotFound(f"the subscription of order {order_id} has not begun", order_id=order_id)
    return found


def _read(account: Account, row: Row, talk: Talk) -> Steps[Subscription | None]:
    if row.provider_id is None:
        return None
    try:
        return (yield from talk.say(account.provider.subscription(row.order_id, row.provider_id)))
    except NotFound:
        raise
    except (NotSent, Refused) as error:
        raise not_asked(f"the subscription of order {row.order_id}", error, order_id=row.order_id) from credentials(
            error)


def _changed(account: Account, order_id: str, needs: Capability, change: Change) -> Steps[Subscription]:
    """Read, change, and read again: the answer is what the PG says afterwards.

    Raises: OutcomeUnknown (no answer: read it, then ask again if it did not happen), Refused, NotSent, NotFound.
    """
    account.require(needs)
    before = yield from unsent(subscription(account, order_id), order_id)
    yield from Talk(account).say(change(before))
    try:
        return (yield from subscription(account, order_id))
    except (NotSent, Refused) as error:
        # It was changed: only what it is now could not be read.
        raise not_asked(f"the subscription of order {order_id}, which was changed", error,
                        order_id=order_id) from credentials(error)


def unsubscribe(account: Account, command: Unsubscribe) -> Steps[Subscription]:
    """Stop a subscription now, at the end of the paid period, or at an instant. No money is given back."""
    account.check(command)
    return (yield from _changed(account, command.order_id, Capability.UNSUBSCRIBE,
                                partial(account.provider.unsubscribe, command)))


def pause(account: Account, order_id: str) -> Steps[Subscription]:
    """Charge nothing until `resume`."""
    return (yield from _changed(account, order_id, Capability.PAUSE, account.provider.pause))


def resume(account: Account, order_id: str) -> Steps[Subscription]:
    """Charge again."""
    return (yield from _changed(account, order_id, Capability.PAUSE, account.provider.resume))


def move_next(account: Account, command: MoveNext) -> Steps[Subscription]:
    """Move the next charge to an instant in the future."""
    if command.due_at <= account.clock.now():
        raise BadCommand("due_at must lie in the future; nothing was sent")
    return (yield from _changed(account, command.order_id, Capability.MOVE_NEXT,
                                partial(account.provider.move_next, command)))


def change_interval(account: Account, command: ChangeInterval) -> Steps[Subscription]:
    """Charge at another interval from the next period on."""
    return (yield from _changed(account, command.order_id, Capability.CHANGE_INTERVAL,
                                partial(account.provider.change_interval, command)))


@takes(Renew)
def renew(account: Account, command: Renew) -> Steps[Payment]:
    """Charge the next period of a subscription now, at most once per `command.order_id`, ever.

    Raises: BadCommand (no such subscription, or it does not cost `command.money`), NotFound (it has not begun),
    InProgress (another renewal of it is not settled), otherwise as `charge`.
    """
    account.require(Capability.RENEW)
    account.check(command)
    began = yield from unsent(ours(account, command.subscription, Kind.SUBSCRIBE), command.order_id)
    if began.provider_id is None:
        raise NotFound(f"the subscription of order {began.order_id} has not begun", order_id=command.order_id)
    row = new_row(account, Kind.RENEW, command.order_id, command, money=command.money,
                  key_digest=renewals_digest(began.provider_id))
    try:
        yield from none_in_doubt(account, row)
    except LedgerError as error:
        raise not_sent(row, f"the ledger cannot be read ({error})") from None
    return (yield from take(account, row, partial(_renewal, account, command, began), ready=partial(alone, account)))


def _renewal(account: Account, command: Renew, began: Row) -> Flow[Payment]:
    found = None if began.provider_id is None else (
        yield from account.provider.subscription(began.order_id, began.provider_id))
    if found is None:
        raise NotFound(f"the subscription of order {began.order_id} has not begun", order_id=command.order_id)
    if found.money != command.money:
        raise BadCommand(f"a period of this subscription costs {found.money}, not {command.money}; nothing was sent",
                         order_id=command.order_id)
    return (yield from account.provider.renew(command, found))


def change_method(account: Account, command: ChangeMethod) -> Steps[Checkout]:
    """Let the payer choose another means of payment: what to show them. No money moves.

    Raises: as `subscription`; Refused, NotSent.
    """
    account.require(Capability.CHANGE_METHOD)
    account.check(command)
    before = yield from unsent(subscription(account, command.order_id), command.order_id)
    return (yield from Talk(account).say(account.provider.change_method(command, before)))
