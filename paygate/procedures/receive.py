"""A webhook is a hint: what it names is looked up, and only the PG's own record, bound to our order, changes anything.

What concerns no payment (a subscription, an invoice, a customer, a product) changes nothing here: it is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from attrs import evolve, field, frozen

from ..capability import Capability
from ..codec import dump
from ..errors import BadCommand, Forged, NotSent, OutcomeUnknown, PaygateError, Refused
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import UNRESOLVED
from ..model import Event, EventKind, Hint, Payment, PaymentStatus, ScheduleStatus, Subject
from ..scheduler.plan import period_of
from .account import Account
from .executed import contradicted, held, judged
from .outcome import OTHER_MODE, Seen, hidden, is_elsewhere, judge, stray_mark
from .reading import look_up
from .renewals import by_hand
from .schedule import look_at_schedule
from .settle import ask, payment_of, settle, whole_story
from .steps import Entry, Steps, change, get_row, open_rows, via
from .talk import Talk

_KINDS = {
    PaymentStatus.PENDING: EventKind.PAYMENT_PENDING,
    PaymentStatus.PAID: EventKind.PAYMENT_PAID,
    PaymentStatus.FAILED: EventKind.PAYMENT_FAILED,
    PaymentStatus.PARTLY_CANCELLED: EventKind.PAYMENT_CANCELLED,
    PaymentStatus.CANCELLED: EventKind.PAYMENT_CANCELLED,
}
_RENEWALS = {
    PaymentStatus.PAID: EventKind.SUBSCRIPTION_RENEWED,
    PaymentStatus.FAILED: EventKind.RENEWAL_FAILED,
}
_LATER = {EventKind.PAYMENT_PAID: EventKind.SUBSCRIPTION_RENEWED, EventKind.PAYMENT_FAILED: EventKind.RENEWAL_FAILED}
_SUBJECTS = {
    "subscription": EventKind.SUBSCRIPTION_CHANGED,
    "subscription_item": EventKind.SUBSCRIPTION_CHANGED,
    "invoice": EventKind.INVOICE_CHANGED,
    "customer": EventKind.CUSTOMER_CHANGED,
    "product": EventKind.PRODUCT_CHANGED,
    "price": EventKind.PRODUCT_CHANGED,
    "other": EventKind.OTHER,
}


def receive(account: Account, headers: Mapping[str, str], body: bytes) -> Steps[Event]:
    """Turn a webhook into a verified event and bring the ledger up to date.

    Raises: Forged (it contradicts the PG's own record, or there is none: answer 400), OutcomeUnknown (the PG could not
    be asked: answer 503, so that it is sent again).
    """
    return (yield from take(account, (yield from read(account, headers, body))))


@frozen
class Letter:
    """A webhook that was read and, where the PG signs, checked. Nothing of it is believed yet."""

    hint: Hint
    body: bytes = field(repr=False)


def read(account: Account, headers: Mapping[str, str], body: bytes) -> Steps[Letter]:
    """Read a webhook and check its signature. Nobody is asked.

    Raises: Forged.
    """
    account.require(Capability.RECEIVE)
    yield from ()
    return Letter(account.provider.read_webhook(_once_each(headers), body, account.clock.now()), body)


def take(account: Account, letter: Letter) -> Steps[Event]:
    """Look up what a webhook names, and bring the ledger up to date.

    Raises: as `receive`.
    """
    hint, talk = letter.hint, Talk(account)
    if hint.kind != "payment":
        return (yield from _of_no_payment(account, hint, letter.body, talk))
    told = yield from _told_before(account, hint)
    if told is not None:
        return (yield from as_renewal(account, told))
    told = yield from _of_payment(account, hint, talk)
    yield from _told_now(account, hint, told)
    return (yield from as_renewal(account, told))


def _of_payment(account: Account, hint: Hint, talk: Talk) -> Steps[Event]:
    try:
        payment = yield from _looked_up(account, hint, talk)
    except BadCommand:
        raise Forged("the webhook names what is no id of a payment; nothing was changed") from None
    if hint.order_id is not None and hint.order_id != payment.order_id:
        raise Forged("the webhook names another order than the PG's record of that payment; nothing was changed",
                     order_id=payment.order_id)
    return (yield from take_record(account, payment, talk))


def take_record(account: Account, payment: Payment, talk: Talk, source: str = "webhook") -> Steps[Event]:
    """Bring the ledger up to date with `payment`, the PG's own record.

    Raises: Forged where it cannot be what our order asked for; OutcomeUnknown where the PG could not be asked further.
    """
    row = yield from get_row(account.scope, Book.PAYMENT, payment.order_id)
    payment = hidden(account.provider, row, payment)
    if row is None:
        if is_elsewhere(payment, is_test=account.is_test):
            raise Forged(f"{OTHER_MODE}; nothing was changed", order_id=payment.order_id)
        row = yield from by_hand(account, payment, talk)
        if row is None:
            return (yield from unasked(account, payment))
        payment = evolve(payment, order_id=row.order_id)
    if row.kind is Kind.SCHEDULE:
        return (yield from _scheduled(account, row, payment, talk))
    before = (row.state, payment_of(row))
    finding = judge(row, (yield from whole_story(account, row, payment, talk)), is_test=account.is_test)
    row = yield from via(source, settle(account, row, finding))
    if finding.is_second:
        return (yield from unasked(account, payment))
    if finding.seen is Seen.CONTRADICTED:
        raise Forged(f"{finding.why}; order {row.order_id} was not changed by this webhook", order_id=row.order_id)
    payment = finding.payment or payment
    row = yield from via(source, _refunded_elsewhere(row, payment))
    known = payment_of(row)
    if row.state is State.ANSWERED and known is not None:
        payment = known  # Never older than what the ledger knows.
    is_news = before != (row.state, known) and (yield from _is_first(account, payment))
    return event(account, row, payment, is_news=is_news)


def _told_before(account: Account, hint: Hint) -> Steps[Event | None]:
    """The event of a signed message that was taken before: sent again or replayed, it is neither looked up nor applied.

    None for a message that is new, is not signed, or did not end anything when it came first.
    """
    if not hint.is_signed or hint.identity is None:
        return None
    message = yield from get_row(account.scope, Book.EVENT, _message_id(hint))
    if message is None or message.provider_id is None:
        return None
    for book, id in ((Book.PAYMENT, message.order_id), (Book.STRAY, message.provider_id)):
        row = yield from get_row(account.scope, book, id)
        if row is not None and row.provider_id == message.provider_id and row.kind is not Kind.SCHEDULE \
                and (payment := payment_of(row)) is not None:
            return event(account, row, payment, is_news=False)
    return None


def _told_now(account: Account, hint: Hint, told: Event) -> Steps[None]:
    """Note that a signed message was taken, unless it ended nothing (the PG has not finished, another worker holds the
    order): then it is worth another look.
    """
    payment = told.payment
    if not hint.is_signed or hint.identity is None or payment is None:
        return
    row = yield from get_row(account.scope, Book.PAYMENT, payment.order_id)
    if row is not None and row.state in UNRESOLVED:
        return
    message = Row(gateway=account.scope, kind=Kind.EVENT, id=_message_id(hint), order_id=payment.order_id, digest="",
                  state=State.ANSWERED, opened_at=account.now(), provider_id=payment.provider_id)
    yield from open_rows([message], f"webhook: {hint.event or hint.claim or 'payment'}"[:200])


def _message_id(hint: Hint) -> str:
    return f"message:{hint.identity}"


def _is_first(account: Account, payment: Payment) -> Steps[bool]:
    """Whether this delivery is the first to tell it: two that arrive together are told apart by the ledger."""
    fact = Row(gateway=account.scope, kind=Kind.EVENT, id=_event_id(account, payment), order_id=payment.order_id,
               digest="", state=State.ANSWERED, opened_at=account.now(), provider_id=payment.provider_id)
    (_, is_new), = yield from open_rows([fact], "webhook")
    return is_new


def _once_each(headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    if len(lowered) != len(headers):
        raise Forged("a webhook that names a header twice; nothing was changed")
    return lowered


def _looked_up(account: Account, hint: Hint, talk: Talk) -> Steps[Payment]:
    if hint.provider_id is None and hint.alias is not None:
        named = yield from look_up(account, hint.alias, talk)
        if named is None:
            raise _unheard_of(hint)
        # Asked again under its proper id, because only that one is bound to an order of ours.
        hint = evolve(hint, provider_id=named.provider_id)
    if hint.provider_id is not None and account.supports(Capability.LOOKUP):
        payment = yield from look_up(account, hint.provider_id, talk)
        if payment is not None and payment.provider_id == hint.provider_id:
            return payment
    elif hint.order_id is not None:
        row = yield from get_row(account.scope, Book.PAYMENT, hint.order_id)
        records = (yield from ask(account, row, talk)) if row is not None else None
        if row is not None and records:
            deciding = judge(row, records, is_test=account.is_test).payment
            assert deciding is not None
            return deciding
    raise _unheard_of(hint)


class NoRecord(Forged):
    """The PG has no record of what a webhook claims, or not yet: nothing contradicts it."""


def _unheard_of(hint: Hint) -> PaygateError:
    """The error for a webhook about what the PG's records do not show. A signature proves that it is no forgery."""
    if hint.is_signed:
        return OutcomeUnknown("the PG does not show what its webhook tells yet; answer so that it is sent again")
    return NoRecord("the PG has no record of what the webhook claims; nothing was changed")


def unasked(account: Account, payment: Payment) -> Steps[Event]:
    """A payment under an order that this ledger never sent: a subscription's renewal, or one for a person."""
    assert payment.provider_id is not None
    if payment.renews is not None:
        began: Row | None = yield Entry("by_provider_id", (account.scope, payment.renews))
        if began is not None and began.kind is Kind.SUBSCRIBE:
            return (yield from _renewal(account, evolve(payment, order_id=began.order_id)))
    if payment.status.took_money and not payment.money.is_zero:
        row = _kept(account, Kind.STRAY, payment, "the PG has a payment that this ledger never asked for")
        mark = evolve(row, id=stray_mark(payment.order_id), provider_id=None, result=None, attention=None)
        _, is_new = (yield from open_rows([row, mark], "stray payment"))[0]
    else:
        is_new = yield from _is_first(account, payment)
    return Event(id=_event_id(account, payment), kind=EventKind.UNMATCHED, gateway=account.name,
                 order_id=payment.order_id, payment=payment, is_news=is_new)


def _renewal(account: Account, payment: Payment) -> Steps[Event]:
    """The PG charged the next period of a subscription by itself, or failed to."""
    row, is_news = (yield from open_rows([_kept(account, Kind.RENEWAL, payment, None)], "renewed by the PG"))[0]
    if not is_news and row.result != dump(payment):
        known = payment_of(row)
        yield from change(row, "the PG's record changed", state=row.state, result=dump(payment))
        is_news = known is None or _event_id(account, known) != _event_id(account, payment)
    return renewal_event(account, payment, is_news=is_news)


def renewal_event(account: Account, payment: Payment, *, is_news: bool) -> Event:
    """The neutral event of a payment that the PG took by itself for a subscription; its order is the one that began it.
    """
    kind = _RENEWALS.get(payment.status, _KINDS[payment.status])
    return Event(id=_event_id(account, payment), kind=kind, gateway=account.name, order_id=payment.order_id,
                 payment=payment, is_news=is_news)


def _kept(account: Account, kind: Kind, payment: Payment, attention: str | None) -> Row:
    assert payment.provider_id is not None
    return Row(gateway=account.scope, kind=kind, id=payment.provider_id, order_id=payment.order_id, digest="",
               state=State.ANSWERED, opened_at=account.now(), money=payment.money, provider_id=payment.provider_id,
               result=dump(payment), attention=attention)


def _of_no_payment(account: Account, hint: Hint, body: bytes, talk: Talk) -> Steps[Event]:
    """Believed where the PG signed it or its own record agrees; written down, so that it is news only once."""
    signed = hint.is_signed
    if not signed:
        try:
            looked = yield from talk.say(account.provider.look_at(hint))
        except (NotSent, Refused):
            raise OutcomeUnknown("the PG could not be asked about a webhook; answer so that it is sent again") from None
        if looked is None:
            raise Forged("the PG has no record of what the webhook claims; nothing was changed")
        hint = looked
    kind = "other" if hint.kind == "payment" else hint.kind
    began: Row | None = None
    if hint.began_by is not None:
        began = yield Entry("by_provider_id", (account.scope, hint.began_by))
    identity = f"{kind}:{hint.identity or hashlib.sha256(body).hexdigest()}"
    happened = Event(id=f"{account.name}:{identity}", kind=_SUBJECTS[kind], gateway=account.name,
                     order_id=began.order_id if began else None, payment=None, is_news=True,
                     subject=Subject(kind=kind, provider_id=hint.provider_id, event=hint.event),
                     verified_by="signature" if signed else "lookup")
    fact = Row(gateway=account.scope, kind=Kind.EVENT, id=identity, order_id=began.order_id if began else "", digest="",
               state=State.ANSWERED, opened_at=account.now(), provider_id=hint.provider_id, result=dump(happened))
    _, is_new = (yield from open_rows([fact], f"webhook: {hint.event or hint.claim or kind}"[:200]))[0]
    return evolve(happened, is_news=is_new)


def _scheduled(account: Account, row: Row, payment: Payment, talk: Talk) -> Steps[Event]:
    """A dated charge was carried out: the schedule's own record is asked as well, and must agree."""
    finding = judged(account, row, [payment])
    if finding.seen is Seen.CONTRADICTED:
        yield from via("webhook", contradicted(account, row, finding.why))
        raise Forged(f"{finding.why}; order {row.order_id} was not changed by this webhook", order_id=row.order_id)
    before = row.result
    row = yield from via("webhook", look_at_schedule(account, row, talk))
    known = held(row)
    if known is not None and known.status is not ScheduleStatus.EXECUTED:
        raise OutcomeUnknown(f"the PG has a payment for order {row.order_id} but still calls it {known.status.value}; "
                             "ask again later", order_id=row.order_id)
    return event(account, row, payment, is_news=row.result != before)


def _refunded_elsewhere(row: Row, payment: Payment) -> Steps[Row]:
    """A refund made in the PG's console shows in the payment's record: keep the newer one."""
    known = payment_of(row)
    if row.state is not State.ANSWERED or known is None or row.result == dump(payment) \
            or not payment.status.took_money or payment.cancelled < known.cancelled:
        return row
    return (yield from change(row, "the PG's record changed", state=row.state, result=dump(payment))) or row


def event(account: Account, row: Row, payment: Payment, *, is_news: bool) -> Event:
    """The neutral event of a verified payment."""
    if row.kind is Kind.RENEWAL:
        return renewal_event(account, payment, is_news=is_news)
    kind = EventKind.UNMATCHED if row.kind is Kind.STRAY else _KINDS[payment.status]
    if row.kind is Kind.REGISTER and payment.status is PaymentStatus.PAID:
        kind = EventKind.KEY_REGISTERED
    return Event(id=_event_id(account, payment), kind=kind, gateway=account.name, order_id=payment.order_id,
                 payment=payment, is_news=is_news)


def as_renewal(account: Account, happened: Event) -> Steps[Event]:
    """`happened`; where it is of a period of a subscription that paygate runs, as a PG that runs one tells it: under
    the order that began it, and each period after the first as a renewal.
    """
    id = happened.order_id or ""
    if happened.kind is EventKind.KEY_REGISTERED and account.spec.profile.register_takes_money.value:
        took = yield from get_row(account.scope, Book.PLAN, id)  # Registering took the first period's money.
        return happened if took is None else evolve(happened, kind=EventKind.PAYMENT_PAID)
    if happened.kind not in _KINDS.values() or (found := period_of(id)) is None \
            or (yield from get_row(account.scope, Book.PLAN, found[0])) is None:
        return happened
    began, number = found
    return evolve(happened, kind=happened.kind if number == 1 else _LATER.get(happened.kind, happened.kind),
                  order_id=began)


def _event_id(account: Account, payment: Payment) -> str:
    """The same for every delivery of the same fact: (gateway, payment, status, what was given back)."""
    theirs = payment.provider_id or f"order {payment.order_id}"  # A PG that declines may keep no record of it.
    return f"{account.name}:{theirs}:{payment.status.value}:{payment.cancelled.amount}"
