"""Results: what a merchant gets back. Nouns only; nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from attrs import Attribute, Factory, field, frozen

from .errors import BadCommand
from .money import Money
from .secret import Secret, reveal_all, secret_or_none


def aware(_: object, attribute: Attribute[Any], value: datetime | None) -> None:
    """Validator: a datetime knows its zone, or it is refused."""
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        raise BadCommand(f"{attribute.name} must be a datetime with a time zone; nothing was sent")


class PaymentStatus(StrEnum):
    """What the PG says of a payment."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    PARTLY_CANCELLED = "partly_cancelled"
    CANCELLED = "cancelled"

    @property
    def took_money(self) -> bool:
        """True where the payer was charged, whatever was given back later."""
        return self in (PaymentStatus.PAID, PaymentStatus.PARTLY_CANCELLED, PaymentStatus.CANCELLED)


class DeclineReason(StrEnum):
    """Why the payer's means of payment was declined. UNMAPPED: the PG's words are not in its provider's table."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    INVALID_METHOD = "invalid_method"
    BELOW_MINIMUM = "below_minimum"
    PAYER_CANCELLED = "payer_cancelled"
    PG_UNAVAILABLE = "pg_unavailable"
    UNMAPPED = "unmapped"


@frozen
class BillingKey:
    """The right to charge a payer again, at one gateway only (빌링키).

    `value` never prints; `reveal()` is for storing it. `gateway` is the name of the gateway that issued it.
    """

    gateway: str
    value: Secret = field(converter=Secret)

    def reveal(self) -> str:
        """The key's text, to be stored as carefully as a password."""
        return self.value.reveal()


@frozen(kw_only=True)
class Cancelled:
    """One refund as the PG's own record lists it."""

    money: Money
    at: datetime | None = field(default=None, validator=aware)
    reason: str | None = None
    provider_id: str | None = None
    """The PG's id of this refund."""



def mask_card(number: str | None) -> str | None:
    """A card number as it may be kept: at most the first six and the last four digits."""
    if number is None:
        return None
    shown = [c for c in number if c.isdigit() or c == "*"]
    return "".join(c if i < 6 or i >= len(shown) - 4 else "*" for i, c in enumerate(shown))


@frozen(kw_only=True)
class Payment:
    """A payment as the PG knows it.

    `cancelled` is what was given back so far, so `left` is what a further cancel may take.
    `message` and `code` are the PG's own words about a failure, verbatim.
    """

    order_id: str
    provider_id: str | None
    status: PaymentStatus
    money: Money
    # A Factory, not attrs' @cancelled.default: not every type checker knows that as a default.
    cancelled: Money = Factory(lambda made: Money(0, made.money.currency), takes_self=True)
    paid_at: datetime | None = field(default=None, validator=aware)
    method: str | None = None
    card_number: str | None = field(default=None, converter=mask_card)
    test: bool | None = None
    """True for a payment made with test credentials, None where the PG does not say."""
    for_key: bool = False
    """True where this record only registers a billing key and no money was taken."""
    key: Secret | None = field(default=None, converter=secret_or_none)
    """The value of the billing key used or issued, where the PG tells."""
    keyed: bool | None = None
    """False where the PG says that no billing key was used or issued, None where it does not say."""
    payer: Secret | None = field(default=None, converter=secret_or_none)
    """Our own name for the payer, where the PG's record repeats it. It never prints and is not stored."""
    reason: DeclineReason | None = None
    code: str | None = None
    message: str | None = None
    receipt_url: str | None = None
    renews: str | None = None
    """The PG's id of the order that began the subscription this payment renews; None for any other payment."""
    cancellations: tuple[Cancelled, ...] = ()
    unrecorded: bool = False
    """True when the PG answered but the ledger could not be written; the order is looked up again later."""

    def __attrs_post_init__(self) -> None:
        back, full = self.cancelled, self.money
        fits = {
            PaymentStatus.PENDING: back.is_zero,
            PaymentStatus.PAID: back.is_zero,
            PaymentStatus.FAILED: back.is_zero,
            PaymentStatus.PARTLY_CANCELLED: not back.is_zero and back < full,
            PaymentStatus.CANCELLED: back == full,
        }
        if not fits[self.status]:
            raise BadCommand(f"a payment of {full} with {back} given back cannot be {self.status.value}")

    @property
    def left(self) -> Money:
        """What has not been given back yet."""
        return self.money - self.cancelled

    def __str__(self) -> str:
        back = "" if self.cancelled.is_zero else f", {self.cancelled} given back"
        return f"payment of order {self.order_id}: {self.money}, {self.status.value}{back}"


@frozen(kw_only=True)
class Cancellation:
    """A refund that the PG confirmed; `payment` is the payment after it."""

    cancel_id: str
    order_id: str
    money: Money
    payment: Payment
    unrecorded: bool = False


class ScheduleStatus(StrEnum):
    """Where a dated charge stands. EXECUTED does not mean paid: read `payment_status`."""

    SCHEDULED = "scheduled"
    EXECUTED = "executed"
    REVOKED = "revoked"


@frozen(kw_only=True)
class ScheduledCharge:
    """A charge of a billing key at a stated instant (예약결제)."""

    order_id: str
    due_at: datetime = field(validator=aware)
    money: Money
    status: ScheduleStatus
    payment_status: PaymentStatus | None = None
    provider_id: str | None = None
    code: str | None = None
    message: str | None = None
    unrecorded: bool = False


@frozen(kw_only=True)
class KeyInfo:
    """A billing key as the PG knows it."""

    billing_key: BillingKey
    method: str | None = None
    card_name: str | None = None
    card_number: str | None = field(default=None, converter=mask_card)
    created_at: datetime | None = field(default=None, validator=aware)
    test: bool | None = None


@frozen
class Redirect:
    """Send the payer's browser to `url`."""

    url: str = field(repr=False)

    def to_dict(self) -> dict[str, object]:
        """The neutral JSON a page acts on."""
        return {"type": "redirect", "url": self.url}


@frozen(kw_only=True)
class ClientCall:
    """Load the PG's browser script from `script` and call `function` with `params`.

    `setup` names a function of that script to be called once before, with one argument.
    `through` names what leads to `function`, each with its one argument: first a function of that script, then a method
    of what the one before returned; `function` is then a method of what the last one returned.
    `params` may hold the payer's own data, so it never prints; `to_dict()` is for the payer's page.
    `returns` says how the page learns the result: "callback", the function takes a callback as its second argument;
    "chain", it returns an object whose `success`, `error` and `cancel` each take a callback; or "redirect", the script
    itself takes the browser to the return_url. What is to be handed to `confirm` is what the callback was given, in a
    chain with `event`: the name of the one that was called; or the query of the return_url.
    """

    script: str
    function: str
    params: Mapping[str, Any] = field(repr=False)
    setup: tuple[str, str] | None = None
    through: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    returns: Literal["callback", "chain", "redirect"] = "callback"

    def to_dict(self) -> dict[str, object]:
        """The neutral JSON a page acts on."""
        setup = None if self.setup is None else {"function": self.setup[0], "argument": self.setup[1]}
        said = {"type": "client_call", "script": self.script, "setup": setup, "function": self.function,
                "params": reveal_all(dict(self.params)), "returns": self.returns}
        if self.through:
            said["through"] = [{"function": name, "argument": reveal_all(given)} for name, given in self.through]
        return said


@frozen(kw_only=True)
class Checkout:
    """What to show the payer now (결제창). No money has moved yet.

    `takes_money` says whether the payer will be charged in it (a registration usually charges nothing).
    `provider_id` is the PG's id of the prepared order, where it gives one.
    `note` is what the provider has to know again when this window is confirmed; the ledger keeps it and nobody sees it.
    """

    order_id: str
    action: Redirect | ClientCall
    takes_money: bool
    provider_id: str | None = None
    note: str | None = field(default=None, repr=False)


SubjectKind = Literal["subscription", "subscription_item", "invoice", "customer", "product", "price", "other"]
"""What an event may concern beside payments. An item belongs to a subscription and a price to a product, but a PG that
tells of one need not name the other.
"""


@frozen(kw_only=True)
class Hint:
    """What a browser return or a webhook claims. It proves nothing: it only says what to look up.

    Where `kind` is not "payment" it concerns no payment, and `provider_id` is the PG's id of that other thing.
    """

    order_id: str | None = None
    provider_id: str | None = field(default=None, repr=False)  # At some PGs it may be a billing key.
    alias: str | None = None
    """Where `provider_id` is not told: another name of the payment at the PG, which a look-up resolves.

    `Provider.lookup` takes it like a `provider_id`, and the Payment it returns names the proper one.
    """
    claim: str | None = None
    """The status it claims, in the PG's word."""
    says_paid: bool = False
    """True where it claims that the money was taken: a record that says no may then be an old one."""
    approval: Secret | None = field(default=None, converter=secret_or_none)
    """What the payer's approval is handed on with, where nothing happens before `capture`; None where none is claimed.
    """
    payer: Secret | None = field(default=None, converter=secret_or_none)
    """Our own name for the payer, where the return repeats it: the one of the order, or it is no return of it."""
    code: str | None = None
    message: str | None = None
    kind: SubjectKind | Literal["payment"] = "payment"
    event: str | None = None
    """What happened, in the PG's word."""
    began_by: str | None = None
    """For a subscription: the PG's id of the order that began it, where told."""
    is_signed: bool = False
    """True where a signature over the whole webhook was checked."""
    identity: str | None = None
    """The same text for every delivery of the same signed message, or of the same fact where it concerns no payment."""
    cancellation: str | None = None


class EventKind(StrEnum):
    """What happened, in words that hold for every PG."""

    PAYMENT_PENDING = "payment_pending"
    PAYMENT_PAID = "payment_paid"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_CANCELLED = "payment_cancelled"
    KEY_REGISTERED = "key_registered"
    UNMATCHED = "unmatched"
    """The PG has a payment that this ledger never asked for; listed under attention if it took money."""
    SUBSCRIPTION_RENEWED = "subscription_renewed"
    """The PG charged the next period of a subscription by itself; `order_id` is the order that began it."""
    RENEWAL_FAILED = "renewal_failed"
    """The PG tried to, and the charge failed."""
    SUBSCRIPTION_CHANGED = "subscription_changed"
    """A subscription or an item of one: `subject.kind` says which."""
    INVOICE_CHANGED = "invoice_changed"
    CUSTOMER_CHANGED = "customer_changed"
    PRODUCT_CHANGED = "product_changed"
    """A product or a price of one: `subject.kind` says which."""
    OTHER = "other"
    """Something that is none of these, or that the provider does not know: kept, never interpreted."""


@frozen(kw_only=True)
class Subject:
    """What an event is about where it is no payment. `event` is the PG's own word for what happened, or the status of a
    subscription that paygate runs.
    """

    kind: SubjectKind
    provider_id: str | None
    event: str | None


@frozen(kw_only=True)
class Event:
    """Something that happened. `id` is the same for every delivery of the same fact.

    Exactly one of `payment` and `subject` is there. A payment is always the PG's own record, looked up. For anything
    else `verified_by` says why it is believed: the PG's record, or a signature alone, after which it must be read
    before anything is done about it.
    """

    id: str
    kind: EventKind
    gateway: str
    order_id: str | None
    """Our order concerned; the one that began it for a subscription and its renewals; None where there is none."""
    payment: Payment | None
    is_news: bool
    """False when the ledger knew it already (a repeated, late or reordered delivery)."""
    subject: Subject | None = None
    verified_by: Literal["lookup", "signature"] = "lookup"
