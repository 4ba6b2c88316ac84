"""One-off payments and registrations: prepare, hand out what to show the payer, and confirm what came of it.

A browser's return is a hint. What confirms is the PG's own record, looked up for *our* stored order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ..capability import Capability
from ..commands import Pay, Register
from ..errors import BadCommand, Conflict, Forged, InProgress, NotSent, OutcomeUnknown, PaygateError, Refused
from ..flow import Flow
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import Verdict, key_digest, next_check
from ..model import BillingKey, Checkout, Hint, KeyInfo, Payment, PaymentStatus
from .account import Account
from .begin import begin, new_row
from .capture import capture, is_approved
from .charge import never_left, told
from .outcome import OTHER_MODE, Finding, Seen, hidden, judge, not_sent, unrecorded_doubt
from .reading import is_key_elsewhere
from .receive import unasked
from .settle import UNNAMED, ask, payment_of, settle, unanswerable, whole_story
from .steps import Steps, change, get_row, reread, takes, via
from .talk import Talk
from .timetable import is_captured
from .window import issued, noted

_BEGUN = {Kind.PAY: "payment", Kind.REGISTER: "registration", Kind.SUBSCRIBE: "subscription"}
_FIRST_CHECK = 2
"""A payer needs minutes: the timetable is entered at its third step."""


@takes(Pay)
def pay(account: Account, command: Pay) -> Steps[Checkout]:
    """Prepare a one-off payment. Asked again for the same order, it hands out the same window again.

    Raises: NotSent, Refused, Conflict (also where the order is paid already), SetupError.
    """
    account.require(Capability.PAY)
    account.check(command)
    row = new_row(account, Kind.PAY, command.order_id, command, money=command.money)
    return (yield from prepare(account, row, partial(account.provider.pay, command)))


@takes(Register)
def register(account: Account, command: Register) -> Steps[Checkout]:
    """Prepare the registration of a billing key. Asked again for the same order, it hands out the same window again.

    Raises: NotSent, Refused, Conflict (also where the order is done already), SetupError.
    """
    account.require(Capability.REGISTER)
    account.check(command)
    value = account.provider.key_value(command)
    row = new_row(account, Kind.REGISTER, command.order_id, command, money=command.money,
                  key_digest=None if value is None else key_digest(value))
    return (yield from prepare(account, row, partial(account.provider.register, command)))


def prepare(account: Account, fresh: Row, open_window: Callable[[str | None], Flow[Checkout]]) -> Steps[Checkout]:
    """Write `fresh` down, or find it, and hand out its window; `open_window` is given the earlier window's id."""
    talk = Talk(account)
    begun = yield from begin(account, fresh)
    row = begun.row
    if is_captured(account, row):
        raise Conflict(f"order {row.id} is not open to the payer any more: what they approved may be done already; "
                       "confirm it, do not use a new order_id", order_id=row.id)
    if begun.verdict in (Verdict.RETURN, Verdict.RAISE) or row.state is State.UNKNOWN:
        raise Conflict(f"order {row.id} is not open to the payer any more ({row.state.value}); use a new order_id",
                       order_id=row.id)
    if begun.verdict is Verdict.LOOK:
        return (yield from _reopened(account, row, open_window, talk))
    if row.fence and payment_of(row := (yield from _looked_again(account, row, talk))) is not None:
        return (yield from _shown_again(account, row, open_window, talk))
    try:
        checkout = yield from talk.say(open_window(row.provider_id))
        checkout = yield from _handed_out(account, row, checkout)
    except (GeneratorExit, InProgress):
        raise
    except LedgerError as error:
        failed: Exception = not_sent(row, f"the ledger cannot be written ({error})")
    except Exception as error:
        failed = error
    except BaseException:
        yield from _never_shown(row)
        raise
    else:
        return checkout
    # Whatever happened, no payer has been shown anything: no money can move.
    raise (yield from never_left(account, row, failed)) from None


def _handed_out(account: Account, row: Row, checkout: Checkout) -> Steps[Checkout]:
    shown = yield from noted(account, row, checkout)
    now = account.now()
    can_ask = checkout.provider_id is not None or account.supports(Capability.FIND)
    note = "handed to the payer" if can_ask else UNNAMED
    moved = yield from change(row, note, state=State.SENT, lease_until=None, sent_at=now, checks=_FIRST_CHECK,
                              check_at=next_check(_FIRST_CHECK, now, account.settle_s),
                              provider_id=checkout.provider_id or row.provider_id)
    if moved is None:
        # A window that the ledger is not bound to must not be shown: nobody would look for what is paid in it.
        raise InProgress(f"another worker holds {row.id}; ask again later, do not use a new id", order_id=row.order_id)
    return shown


def _never_shown(row: Row) -> Steps[None]:
    try:
        yield from change(row, "interrupted", state=State.NOT_SENT, lease_until=None, check_at=None)
    except LedgerError:
        pass  # It stays as it is and is looked up later; what matters now is that the interrupt goes on.


def _looked_again(account: Account, row: Row, talk: Talk) -> Steps[Row]:
    """The row of a window that was given up: the payer may have paid in it since.

    Raises: Conflict where that order is not open any more, NotSent where the PG could not be asked.
    """
    try:
        return (yield from _look_before_reopening(account, row, talk, mine=True))
    except (Conflict, GeneratorExit):
        raise
    except (PaygateError, LedgerError) as error:
        failed = not_sent(row, f"its earlier window could not be looked up ({error})")
    except BaseException:
        yield from _never_shown(row)
        raise
    raise (yield from never_left(account, row, failed)) from None


def _reopened(account: Account, row: Row, open_window: Callable[[str | None], Flow[Checkout]],
              talk: Talk) -> Steps[Checkout]:
    try:
        row = yield from _look_before_reopening(account, row, talk)
    except Conflict:
        raise
    except (PaygateError, LedgerError) as error:
        raise _not_shown_again(row, error) from None
    return (yield from _shown_again(account, row, open_window, talk))


def _shown_again(account: Account, row: Row, open_window: Callable[[str | None], Flow[Checkout]],
                 talk: Talk) -> Steps[Checkout]:
    """Show the window again. The payer may be paying in the earlier one, so whatever fails now, the row stays sent."""
    try:
        checkout = yield from talk.say(open_window(row.provider_id))
        if _could_take_it_twice(account, row, checkout):
            raise OutcomeUnknown("the PG has a payment of it that is not finished")
        checkout = yield from _handed_out(account, row, checkout)
    except (Conflict, InProgress):
        raise
    except (PaygateError, LedgerError) as error:
        raise _not_shown_again(row, error) from None
    return checkout


def _not_shown_again(row: Row, error: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(f"the window of order {row.id} cannot be shown again ({error}); another may be open",
                          order_id=row.order_id, next_step="confirm it, or ask for its window again")


def _could_take_it_twice(account: Account, row: Row, checkout: Checkout) -> bool:
    """Whether another window could be paid in besides the unfinished payment that the PG has: a PG that refuses an
    order id which has been paid takes it once, and so does a window that is that payment.
    """
    unfinished = payment_of(row)
    return unfinished is not None and unfinished.provider_id != checkout.provider_id \
        and not account.spec.profile.refuses_reused_order_id.value


def _look_before_reopening(account: Account, row: Row, talk: Talk, *, mine: bool = False) -> Steps[Row]:
    records = yield from ask(account, row, talk)
    if records:
        row = yield from via("asked again", settle(account, row, judge(row, records, is_test=account.is_test),
                                                   mine=mine))
    if row.state is not State.SENT:
        raise Conflict(f"order {row.id} is not open to the payer any more ({row.state.value}); use a new order_id",
                       order_id=row.id)
    return row


def confirm(account: Account, order_id: str, query: Mapping[str, str]) -> Steps[Payment]:
    """Find out what came of `pay`. `order_id` is the one in *your* session; `query` is what the browser brought.

    Where the PG takes the money only when told to, once the payer approved and is back, it is told here, once.
    Returns the payment, which may still be PENDING (the payer closed the window, or the PG has not finished).

    Raises: Declined, Forged (the query belongs to another order), OutcomeUnknown, BadCommand (no such order); NotSent
    (the money could not be asked for; confirm again with the same query).
    """
    row, talk = (yield from ours(account, order_id, Kind.PAY)), Talk(account)
    hint = hint_of(account, query)
    row, _ = yield from confirm_row(account, row, hint, talk)
    if is_approved(account, row, hint):
        return (yield from capture(account, row, hint, talk.deadline))
    if row.state is State.SENT and payment_of(row) is None:
        assert row.money is not None
        return Payment(order_id=order_id, provider_id=row.provider_id, status=PaymentStatus.PENDING, money=row.money,
                       code=hint.code, message=hint.message)
    return told(row)


def confirm_key(account: Account, order_id: str, query: Mapping[str, str]) -> Steps[BillingKey | None]:
    """Find out what came of `register`: the billing key, or None while the payer has not finished.

    Raises: Declined, Forged, OutcomeUnknown, BadCommand (no such order); NotSent, as `confirm`.
    """
    row, talk = (yield from ours(account, order_id, Kind.REGISTER)), Talk(account)
    hint = hint_of(account, query)
    row, records = yield from confirm_row(account, row, hint, talk)
    if is_approved(account, row, hint):
        yield from capture(account, row, hint, talk.deadline)
        row = yield from reread(row)
        records = (yield from ask(account, row, talk)) or ()
    payment = payment_of(row)
    if row.state is State.SENT and (payment is None or payment.status is PaymentStatus.PENDING):
        return None
    payment = told(row)
    if not records and account.supports(Capability.CAPTURE):
        records = (payment,)  # This PG told it once, when it was captured.
    try:
        return (yield from _key(account, row, records, talk))
    except (NotSent, Refused):
        raise OutcomeUnknown(f"the PG could not be asked about the key of order {order_id}; confirm again later",
                             order_id=order_id) from None


def _key(account: Account, row: Row, records: tuple[Payment, ...], talk: Talk) -> Steps[BillingKey | None]:
    """The key that a registration yielded; None where the PG does not have it (yet)."""
    value = (yield from issued(account, row, records, talk)) or account.provider.key_of(row.order_id)
    if value is None or (row.key_digest is not None and key_digest(value) != row.key_digest):
        raise OutcomeUnknown(f"order {row.order_id} is registered, but the PG does not tell the billing key",
                             order_id=row.order_id)
    if account.supports(Capability.LOOKUP_KEY):
        info: KeyInfo | None = yield from talk.say(account.provider.lookup_key(value, account.name))
        if info is None:
            return None
        if is_key_elsewhere(account, info):
            yield from change(row, "contradiction", state=row.state, attention=OTHER_MODE)
            raise OutcomeUnknown(f"{OTHER_MODE}; the billing key of order {row.order_id} needs a person",
                                 order_id=row.order_id)
    return BillingKey(account.name, value)


def hint_of(account: Account, query: Mapping[str, str]) -> Hint:
    """What the browser claims; an empty query claims nothing, so the PG is simply asked.

    Raises: Forged.
    """
    return account.provider.read_return(query) if query else Hint()


def ours(account: Account, order_id: str, kind: Kind) -> Steps[Row]:
    """The row that began under `order_id`.

    Raises: BadCommand.
    """
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    if row is None or row.kind is not kind:
        raise BadCommand(f"no {_BEGUN[kind]} was begun under order_id {order_id[:40]!r}")
    return row


def confirm_row(account: Account, row: Row, hint: Hint, talk: Talk) -> Steps[tuple[Row, tuple[Payment, ...]]]:
    """Look the row's order up and move it as far as the answer proves; with the row, the PG's records.

    Raises: Forged, OutcomeUnknown.
    """
    if hint.order_id is not None and hint.order_id != row.order_id:
        raise Forged(f"the browser came back with another order than {row.order_id}; nothing was changed",
                     order_id=row.order_id)
    try:
        records = yield from _records(account, row, hint, talk)
    except BadCommand:
        raise Forged(f"the browser came back to {row.order_id} with what is no id of a payment; nothing was changed",
                     order_id=row.order_id) from None
    except (NotSent, Refused):
        raise OutcomeUnknown(f"the PG could not be asked about order {row.order_id}; confirm again later",
                             order_id=row.order_id) from None
    try:
        if records is None:
            return (yield from unanswerable(account, row)), ()
        finding = judge(row, records, is_test=account.is_test)
        if finding.seen is Seen.FAILED and (hint.says_paid or _is_another(finding, hint)):
            # An attempt that failed before the one that was approved: the PG's records lag behind its own page.
            finding = Finding(seen=Seen.ABSENT)
        row = yield from via("return", settle(account, row, finding))
        if finding.is_second:
            assert finding.payment is not None
            yield from via("return", unasked(account, finding.payment))
            raise OutcomeUnknown(f"{finding.why}: order {row.order_id} was paid twice, and one has to be given back",
                                 order_id=row.order_id, next_step="give the second payment back: cancel_whole under "
                                 f"its own id, {finding.payment.provider_id}, which attention() lists")
    except LedgerError:
        raise unrecorded_doubt(row) from None
    if finding.seen is Seen.CONTRADICTED and (hint.provider_id is not None or hint.approval is not None):
        raise Forged(f"{finding.why}; order {row.order_id} is not confirmed", order_id=row.order_id)
    return row, records


def _is_another(finding: Finding, hint: Hint) -> bool:
    """Whether another payment than the approved one decided."""
    return hint.approval is not None and finding.payment is not None and finding.payment.provider_id != hint.provider_id


def _records(account: Account, row: Row, hint: Hint, talk: Talk) -> Steps[tuple[Payment, ...] | None]:
    """What the PG has under the id the browser brought, if it is ours, else under our order.

    It may be another payment than the one known so far: a payer who failed in one window may have paid in the next.
    """
    if hint.provider_id is not None and account.supports(Capability.LOOKUP):
        # Only the ledger's own binding, made before the payer saw anything, may name our order; never the browser.
        bound = row.order_id if row.provider_id == hint.provider_id else None
        found = yield from talk.say(account.provider.lookup(hint.provider_id, bound))
        if found is not None and found.order_id != row.order_id:
            raise Forged(f"the browser came back with the payment of another order than {row.order_id}; "
                         "nothing was changed", order_id=row.order_id)
        if found is not None:
            return (yield from whole_story(account, row, hidden(account.provider, row, found), talk))
    return (yield from ask(account, row, talk))
