"""What a provider offers and how it behaves, as data: the one declaration behind checks, tables and tests."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Generic, TypeVar

from attrs import Attribute, field, fields, frozen

from .money import Money

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Capability(StrEnum):
    """A verb a provider may claim. What is not claimed raises Unsupported before a byte leaves."""

    PAY = "pay"
    REGISTER = "register"
    CAPTURE = "capture"
    """What the payer approved in a window is done only when we say so, once they are back: `confirm` does it."""
    CHARGE = "charge"
    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    FIND_SCHEDULE = "find_schedule"
    SCHEDULES = "schedules"
    CANCEL = "cancel"
    CANCEL_PARTLY = "cancel_partly"
    FIND = "find"
    LOOKUP = "lookup"
    LISTING = "listing"
    LOOKUP_KEY = "lookup_key"
    KEYS = "keys"
    DELETE_KEY = "delete_key"
    RECEIVE = "receive"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PAUSE = "pause"
    MOVE_NEXT = "move_next"
    CHANGE_INTERVAL = "change_interval"
    CHANGE_METHOD = "change_method"
    RENEW = "renew"


_BY_CHARGING = frozenset({Capability.SCHEDULE, Capability.UNSCHEDULE, Capability.FIND_SCHEDULE, Capability.SCHEDULES})
_BY_REGISTERING_TOO = frozenset({Capability.SUBSCRIBE, Capability.UNSUBSCRIBE, Capability.PAUSE, Capability.MOVE_NEXT,
                                 Capability.CHANGE_INTERVAL, Capability.CHANGE_METHOD})


def with_vault(offered: Collection[Capability]) -> frozenset[Capability]:
    """What paygate does in the PG's place, given a vault, by charging billing keys; `offered` is what the PG does."""
    if Capability.CHARGE not in offered:
        return frozenset()
    done = _BY_CHARGING | _BY_REGISTERING_TOO if Capability.REGISTER in offered else _BY_CHARGING
    return done - frozenset(offered)


class Certainty(StrEnum):
    """How we know: the PG's documents say so, somebody's code shows it, or we take it to be so."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    ASSUMED = "assumed"


@frozen
class Fact(Generic[T_co]):
    """One statement about a PG, with how certain it is and where it comes from."""

    value: T_co
    certainty: Certainty
    source: str


def documented(value: T, source: str) -> Fact[T]:
    """A fact that the PG's own documents state."""
    return Fact(value, Certainty.DOCUMENTED, source)


def observed(value: T, source: str) -> Fact[T]:
    """A fact seen in recorded answers or in code that runs against the PG."""
    return Fact(value, Certainty.OBSERVED, source)


def assumed(value: T, source: str) -> Fact[T]:
    """What we take to be so; `source` says why."""
    return Fact(value, Certainty.ASSUMED, source)


class Absence(StrEnum):
    """What it proves when the PG finds nothing under our order_id."""

    NOTHING = "nothing"
    NEVER_HAPPENED_AFTER_SETTLING = "never happened, once the settle window is over"


class CancelGuard(StrEnum):
    """What keeps a repeated refund from being paid twice."""

    CHECKSUM = "the PG compares the balance we state"
    COMPARE = "we compare the balance before and after"


def _is_fact(_: object, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, Fact):
        raise TypeError(f"profile entry {attribute.name} is a Fact: documented(), observed() or assumed()")



@frozen(kw_only=True)
class Profile:
    """How a PG behaves. Every entry is a Fact; `describe()` lists them."""

    currencies: Fact[tuple[str, ...]] = field(validator=_is_fact, metadata={"meaning": "currencies it takes"})
    minimum: Fact[Money | None] = field(validator=_is_fact, metadata={"meaning": "smallest amount it takes"})
    maximum: Fact[Money | None] = field(validator=_is_fact, metadata={"meaning": "largest amount it takes"},
                                        default=assumed(None, "none is known"))
    order_id_pattern: Fact[str] = field(validator=_is_fact, metadata={
        "meaning": "order ids it takes, as a regular expression"})
    title_limit: Fact[int] = field(validator=_is_fact, metadata={"meaning": "longest title, in characters"})
    refuses_reused_order_id: Fact[bool] = field(validator=_is_fact, metadata={
        "meaning": "refuses an order id that has been paid"})
    refuses_concurrent_order_id: Fact[bool] = field(validator=_is_fact, metadata={
        "meaning": "refuses one order id sent twice at the same time"})
    absence: Fact[Absence] = field(validator=_is_fact, metadata={"meaning": "what 'not found' proves"})
    schedule_run_by: Fact[str] = field(validator=_is_fact, metadata={
        "meaning": "who charges on later dates, be it a dated charge or a subscription: pg or paygate"})
    register_takes_money: Fact[bool] = field(validator=_is_fact, metadata={
        "meaning": "registering a key charges the payer"})
    cancel_guard: Fact[CancelGuard] = field(validator=_is_fact, metadata={"meaning": "what guards a partial cancel"})
    hooks_never_sent: Fact[tuple[str, ...]] = field(validator=_is_fact, metadata={"meaning": "events no webhook tells"})
    hook_signature: Fact[str] = field(validator=_is_fact, metadata={"meaning": "how a webhook is signed"})
    settle_s: Fact[float] = field(validator=_is_fact, metadata={
        "meaning": "seconds the PG may go on working after we hang up"})

    def describe(self) -> list[tuple[str, str, Fact[object]]]:
        """Each entry's name, meaning and Fact."""
        return [(a.name, a.metadata["meaning"], getattr(self, a.name)) for a in fields(type(self))]
