"""Classification of what a PG answers, pure: does this record prove what we asked for?"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import Enum, auto

from attrs import frozen

from .. import errors
from ..errors import Declined, NotSent, OutcomeUnknown, PaygateError, Refused, Unauthorized, without_advice
from ..ledger.row import Kind, LedgerError, Row, State
from ..ledger.rules import key_digest, payer_digest, renewals_digest
from ..model import DeclineReason, Payment, PaymentStatus
from ..provider import Provider


def hidden(provider: Provider, row: Row | None, payment: Payment) -> Payment:
    """`payment` as it may be stored and shown. Of a charge alone is it certain that its id is no billing key."""
    return payment if row is not None and row.kind in (Kind.CHARGE, Kind.SCHEDULE) else provider.hide_key(payment)


class Seen(Enum):
    """What the PG's records say of one order."""

    PAID = auto()
    PENDING = auto()
    FAILED = auto()
    ABSENT = auto()
    CONTRADICTED = auto()


@frozen(kw_only=True)
class Finding:
    """`payment` is the record that decides; `why` tells a contradiction in our words."""

    seen: Seen
    payment: Payment | None = None
    why: str | None = None
    is_elsewhere: bool = False
    """A contradiction by a record of the other of test and live mode: no money of this account moved."""
    is_second: bool = False
    """A contradiction by another payment that took money for an order that is paid: both are real."""


def stray_mark(order_id: str) -> str:
    """Under which id it is noted that the PG took money under an order for which this ledger never asked."""
    return f"order:{order_id}"


_SECOND = "the PG has a second payment under this order"
OTHER_MODE = "the PG's answer is from the other of test and live mode"


def contradiction(row: Row, payment: Payment, *, is_test: bool) -> str | None:
    """Why `payment` cannot be what `row` asked for; None where it can."""
    if payment.order_id != row.order_id:
        return "the PG's answer names another order"
    if not payment.provider_id:
        return "the PG's answer names no payment"
    if row.provider_id is not None and row.kind is not Kind.CANCEL and payment.provider_id != row.provider_id \
            and row.state is State.ANSWERED and payment.status.took_money:
        return _SECOND
    if is_elsewhere(payment, is_test=is_test):
        return OTHER_MODE
    is_bare_key = payment.for_key and payment.money.is_zero  # Some PGs record no amount where none was taken.
    if row.money is not None and payment.money != row.money and not is_bare_key:
        return f"the PG took {payment.money}, not {row.money}"
    if payment.for_key and row.kind is not Kind.REGISTER:
        return "the PG's record registers a billing key and is no payment"
    if row.kind is Kind.RENEW and (payment.renews is None or renewals_digest(payment.renews) != row.key_digest):
        return "the PG's record is no renewal of this subscription"
    if payment.keyed is False and row.kind in (Kind.REGISTER, Kind.CHARGE):
        return "the PG's record is of a payment without a billing key"
    if payment.key is not None and row.key_digest is not None and key_digest(payment.key) != row.key_digest:
        return "the PG's answer names another billing key"
    if payment.payer is not None and row.payer_digest is not None and payer_digest(payment.payer) != row.payer_digest:
        return "the PG's answer names another payer"
    return None


def is_elsewhere(payment: Payment, *, is_test: bool) -> bool:
    """Whether a record says that it is from the other of test and live mode."""
    return payment.test is not None and payment.test is not is_test


def standing(row: Row, takers: Sequence[Payment]) -> Sequence[Payment]:
    """Of the payments that took money for an order those that count: once it is answered, not another one that was
    given back whole. A second payment which a person had given back is in nobody's way.
    """
    if row.state is not State.ANSWERED:
        return takers
    return [p for p in takers if p.provider_id == row.provider_id or not p.left.is_zero] or takers


def judge(row: Row, records: Sequence[Payment], *, is_test: bool) -> Finding:
    """Decide from every record the PG has under the order. A record that took money outweighs all others.

    Records of the other of test and live mode count only where there is no other: then they contradict.
    """
    if not records:
        return Finding(seen=Seen.ABSENT)
    records = [p for p in records if not is_elsewhere(p, is_test=is_test)] or records
    takers = standing(row, [p for p in records if p.status.took_money])
    if len({p.provider_id for p in takers}) > 1:
        return Finding(seen=Seen.CONTRADICTED, payment=takers[0],
                       why="the PG has more than one paid record for this order")
    pending = [p for p in records if p.status is PaymentStatus.PENDING]
    deciding = (takers or pending or list(records))[-1]
    why = contradiction(row, deciding, is_test=is_test)
    if why is not None:
        return Finding(seen=Seen.CONTRADICTED, payment=deciding, why=why,
                       is_elsewhere=is_elsewhere(deciding, is_test=is_test), is_second=why is _SECOND)
    seen = Seen.PAID if takers else Seen.PENDING if pending else Seen.FAILED
    return Finding(seen=seen, payment=deciding)


def declined(payment: Payment) -> Declined:
    """The error that tells a failed payment; the PG's words verbatim, as attributes."""
    return Declined(f"the payment was declined for order {payment.order_id}; use a new order_id to try again",
                    reason=payment.reason or DeclineReason.UNMAPPED, order_id=payment.order_id, code=payment.code,
                    pg_message=payment.message)


def refusal_text(error: Refused) -> str:
    """A refusal as ledger text."""
    return json.dumps({"error": type(error).__name__, "text": str(error), "code": error.code, "message": error.message,
                       "reason": getattr(error, "reason", None)}, ensure_ascii=False)


def refusal_from(row: Row) -> Refused:
    """The refusal a row recorded."""
    said = json.loads(row.refusal or "{}")
    kind: type[Refused] = getattr(errors, said.get("error", ""), Refused)
    error = kind(said.get("text", f"order {row.order_id} was refused"), order_id=row.order_id, code=said.get("code"),
                 pg_message=said.get("message"))
    if isinstance(error, Declined):
        error.reason = DeclineReason(said.get("reason") or DeclineReason.UNMAPPED)
    return error


_WORDS = {Kind.PAY: "payment", Kind.REGISTER: "registration", Kind.SCHEDULE: "dated charge",
          Kind.SUBSCRIBE: "subscription", Kind.RENEWAL: "renewal", Kind.RENEW: "renewal", Kind.STRAY: "payment",
          Kind.EVENT: "event"}


def named(row: Row) -> str:
    """What a row is about, as a message names it."""
    if row.kind is Kind.CANCEL:
        return f"the refund {row.id} of order {row.order_id}"
    return f"the {_WORDS.get(row.kind, 'charge')} of order {row.order_id}"


def reason(fault: BaseException) -> str:
    """Why something failed, in our words alone: a PG's own words may hold personal data."""
    if isinstance(fault, Unauthorized):
        return "the PG does not accept the credentials"
    if isinstance(fault, Refused):
        # A code is short and has no spaces; whatever else stands there is not repeated.
        code = f" (code {fault.code})" if re.fullmatch(r"[A-Za-z0-9_.:-]{1,40}", str(fault.code or "")) else ""
        return f"the PG {'declined' if isinstance(fault, Declined) else 'refused'}{code}"
    if isinstance(fault, PaygateError):
        return without_advice(str(fault))
    if isinstance(fault, LedgerError):
        return f"the ledger failed ({without_advice(str(fault))})"
    return f"the provider failed with {type(fault).__name__}"


def noted(fault: BaseException) -> str:
    """Why something failed, for the trail: what the PG said, shortened, where it said something."""
    if not isinstance(fault, PaygateError) or not fault.message:
        return reason(fault)
    words = "".join(c if c.isprintable() else " " for c in f"{fault.code or ''}: {fault.message}")
    said = " ".join(words.split()).removeprefix(": ")
    return f"the PG said {said if len(said) <= 100 else said[:99] + '…'}"


def not_asked(what: str, error: PaygateError, *, order_id: str | None = None) -> OutcomeUnknown:
    """The error for a question that got no answer. Raise it from `credentials(error)`."""
    told = OutcomeUnknown(f"the PG could not be asked about {what} ({reason(error)}); asking changed nothing; "
                          f"{'check the settings' if isinstance(error, Unauthorized) else 'ask again later'}",
                          order_id=order_id, code=error.code, pg_message=error.message,
                          next_step="asking changed nothing; ask again later, never send again")
    if isinstance(error, Unauthorized):
        told.next_step = "asking changed nothing; check the settings, then ask again, never send again"
    return told


def credentials(error: PaygateError) -> Unauthorized | None:
    """`error` where it says that the credentials are wrong: that, and nothing else, stays visible as a cause."""
    return error if isinstance(error, Unauthorized) else None


def unknown(row: Row, cause: PaygateError | None = None) -> OutcomeUnknown:
    """The error that tells a doubt and its reason; it carries what the PG did say."""
    if cause is None and row.refusal is not None and row.state in (State.SENT, State.UNKNOWN):
        cause = refusal_from(row)
    said = dict.fromkeys(filter(None, (None if cause is None else reason(cause), row.attention)))
    why = f": {', '.join(said)}" if said else ""
    return OutcomeUnknown(f"it is not known whether {named(row)} happened{why}; "
                          "look it up or reconcile, never send it under another id",
                          order_id=row.order_id, code=cause.code if cause else None,
                          pg_message=cause.message if cause else None)


def unrecorded_doubt(row: Row, cause: PaygateError | None = None) -> OutcomeUnknown:
    """A doubt that the ledger could not take down: its row stays as it was and is looked up later."""
    error = unknown(row, cause)
    error.unrecorded = True
    return error


def not_sent(row: Row, why: str) -> NotSent:
    """The error that tells that no money can have moved."""
    said = json.loads(row.refusal or "{}")
    return NotSent(f"{named(row)} was not sent: {without_advice(why)}; the same id may be sent again",
                   order_id=row.order_id, code=said.get("code"), pg_message=said.get("message"))
