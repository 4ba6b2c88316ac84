"""What a merchant holds: one configured account at a PG. Its asynchronous twin is async_gateway.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from .capability import Capability, with_vault
from .commands import (
    Cancel,
    CancelWhole,
    Charge,
    DeleteKey,
    KeysOf,
    Pay,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
)
from .drive import Driver
from .errors import BadCommand, SetupError
from .joining import Joined, refusal_inside
from .ledger.row import Line, Row
from .model import BillingKey, Cancellation, Checkout, Event, KeyInfo, Payment, ScheduledCharge
from .procedures import cancel as _cancel
from .procedures import charge as _charge
from .procedures import checkout as _checkout
from .procedures import dated as _dated
from .procedures import decide as _decide
from .procedures import due as _due
from .procedures import inbox as _inbox
from .procedures import plan_changes as _changes
from .procedures import plans as _plans
from .procedures import reading as _reading
from .procedures import receive as _receive
from .procedures import reconcile as _reconcile
from .procedures import subscribe as _subscribe
from .procedures import trace as _trace
from .procedures.account import Account
from .procedures.decide import Resolution
from .procedures.due import DueReport
from .procedures.reconcile import Report
from .procedures.sealed import require_vault
from .procedures.steps import Steps, listed
from .procedures.trace import Trace
from .procedures.unheard import heard
from .subscriptions import (
    ChangeInterval,
    ChangeMethod,
    ChangeMoney,
    MoveNext,
    Renew,
    Subscribe,
    SubscribeKey,
    Subscription,
    Unsubscribe,
)

T = TypeVar("T")


class Base:
    """What both faces share: the account, questions that need no I/O, and what is refused before anything is asked."""

    def __init__(self, account: Account, *, owns_ledger: bool) -> None:
        self._account = account
        self._owns_ledger = owns_ledger
        """Whether `connect` opened the ledger; one that was handed in is its owner's to close."""
        self._closed = False

    def _open(self, steps: Steps[T]) -> Steps[T]:
        if self._closed:
            steps.close()
            raise SetupError("this gateway is closed; nothing was sent; connect again")
        if (refusal := refusal_inside()) is not None:
            steps.close()
            raise refusal
        return heard(_inbox.noting(self._account, steps) if self._account.listens else steps)

    @staticmethod
    def _fields(what: str, value: Mapping[str, str]) -> Mapping[str, str]:
        # Not isinstance(Mapping): the headers of some web frameworks are none, and can be read like one.
        if not callable(getattr(value, "items", None)):
            raise BadCommand(f"{what}, not {type(value).__name__}; nothing was changed")
        return value

    def _query(self, query: Mapping[str, str]) -> Mapping[str, str]:
        return self._fields("query is a mapping of the names and values that the browser brought back", query)

    def _webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[Mapping[str, str], bytes]:
        if not isinstance(body, bytes):
            raise BadCommand(f"body is the raw bytes of the request, not {type(body).__name__}; nothing was changed")
        return self._fields("headers is a mapping of the request's header names to their values", headers), body

    @property
    def name(self) -> str:
        """The gateway's name, to which its billing keys are bound."""
        return self._account.name

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._account.spec.name

    @property
    def is_test(self) -> bool:
        """Whether test credentials are in use."""
        return self._account.is_test

    def supports(self, *capabilities: Capability | str) -> bool:
        """Whether every one of `capabilities` is offered. Asks nobody: it is declared.

        Raises: BadCommand for a word that is no capability.
        """
        return all(self._account.offers(_capability(c)) for c in capabilities)

    def require(self, *capabilities: Capability | str) -> None:
        """Refuse to go on without them; call it at start-up.

        Raises: Unsupported, BadCommand for a word that is no capability.
        """
        for capability in map(_capability, capabilities):
            if self._account.offers(capability):
                continue
            if capability in with_vault(self._account.spec.capabilities):
                require_vault(self._account, capability.value)
            self._account.require(capability)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} ({'test' if self.is_test else 'live'})>"


def _capability(word: Capability | str) -> Capability:
    try:
        return Capability(word)
    except ValueError:
        known = ", ".join(c.value for c in Capability)
        raise BadCommand(f"{ascii(word)[:40]} is no capability; nothing was sent; they are: {known}") from None


class Gateway(Base):
    """One account at a PG. Made by `connect`; safe to share between threads; close it, or use it in a `with`."""

    def __init__(self, account: Account, driver: Driver, *, owns_ledger: bool = False) -> None:
        super().__init__(account, owns_ledger=owns_ledger)
        self._driver = driver

    def _run(self, steps: Steps[T]) -> T:
        return self._driver.run(self._open(steps))

    def pay(self, command: Pay) -> Checkout:
        """Prepare a one-off payment (일반결제): what to show the payer. Then `confirm`."""
        return self._run(_checkout.pay(self._account, command))

    def confirm(self, order_id: str, query: Mapping[str, str]) -> Payment:
        """Find out what came of `pay`; `query` is what the browser brought back, and only a hint."""
        return self._run(_checkout.confirm(self._account, order_id, self._query(query)))

    def register(self, command: Register) -> Checkout:
        """Prepare the registration of a billing key (빌링키 발급): what to show the payer. Then `confirm_key`."""
        return self._run(_checkout.register(self._account, command))

    def confirm_key(self, order_id: str, query: Mapping[str, str]) -> BillingKey | None:
        """Find out what came of `register`: the billing key, or None while the payer has not finished."""
        return self._run(_checkout.confirm_key(self._account, order_id, self._query(query)))

    def charge(self, command: Charge) -> Payment:
        """Charge a billing key now, at most once per order_id, ever."""
        return self._run(_charge.charge(self._account, command))

    def cancel(self, command: Cancel) -> Cancellation:
        """Give a stated amount back (부분취소)."""
        return self._run(_cancel.cancel(self._account, command))

    def cancel_whole(self, command: CancelWhole) -> Cancellation:
        """Give all that is left back (전액취소)."""
        return self._run(_cancel.cancel(self._account, command))

    def schedule(self, command: Schedule) -> tuple[ScheduledCharge, ...]:
        """Have a billing key charged at stated instants (예약결제)."""
        return self._run(_dated.schedule(self._account, command))

    def unschedule(self, command: Unschedule) -> tuple[ScheduledCharge, ...]:
        """Stop the named dated charges, and say what became of each."""
        return self._run(_dated.unschedule(self._account, command))

    def find_schedule(self, order_id: str) -> ScheduledCharge:
        """One dated charge, as the PG has it now."""
        return self._run(_dated.find_schedule(self._account, order_id))

    def move_schedule(self, order_id: str, due_at: datetime) -> ScheduledCharge:
        """Have a dated charge that paygate runs made at `due_at` instead, an instant in the future."""
        return self._run(_dated.move(self._account, order_id, due_at))

    def schedules(self, command: SchedulesOf) -> tuple[ScheduledCharge, ...]:
        """The dated charges the PG holds for a billing key."""
        return self._run(_dated.schedules(self._account, command))

    def subscribe(self, command: Subscribe) -> Checkout:
        """Prepare a subscription (정기결제): what to show the payer. Then `confirm_subscription`.

        The PG runs it where it can, otherwise paygate does.
        """
        return self._run(_plans.subscribe(self._account, command))

    def confirm_subscription(self, order_id: str, query: Mapping[str, str]) -> Subscription | None:
        """Find out what came of `subscribe`: the subscription, or None while the payer has not finished."""
        return self._run(_plans.confirm_subscription(self._account, order_id, self._query(query)))

    def subscription(self, order_id: str) -> Subscription:
        """A subscription, as it stands now."""
        return self._run(_plans.subscription(self._account, order_id))

    def subscribe_key(self, command: SubscribeKey) -> Subscription:
        """Begin a subscription on a billing key that is there already; what is due now is charged now."""
        return self._run(_plans.subscribe_key(self._account, command))

    def unsubscribe(self, command: Unsubscribe) -> Subscription:
        """Stop a subscription. It gives no money back."""
        return self._run(_changes.unsubscribe(self._account, command))

    def pause(self, order_id: str) -> Subscription:
        """Charge a subscription nothing until `resume`."""
        return self._run(_changes.pause(self._account, order_id))

    def resume(self, order_id: str) -> Subscription:
        """Charge a paused subscription again."""
        return self._run(_changes.resume(self._account, order_id))

    def move_next(self, command: MoveNext) -> Subscription:
        """Move a subscription's next charge."""
        return self._run(_changes.move_next(self._account, command))

    def change_interval(self, command: ChangeInterval) -> Subscription:
        """Charge a subscription at another interval from the next period on."""
        return self._run(_changes.change_interval(self._account, command))

    def change_money(self, command: ChangeMoney) -> Subscription:
        """Charge a subscription another amount from the next period on."""
        return self._run(_changes.change_money(self._account, command))

    def renew(self, command: Renew) -> Payment:
        """Charge a subscription's next period now, at exactly what it costs, at most once per order_id, ever."""
        return self._run(_subscribe.renew(self._account, command))

    def change_method(self, command: ChangeMethod) -> Checkout:
        """Let the payer choose another means of payment for a subscription: what to show them."""
        return self._run(_changes.change_method(self._account, command))

    def confirm_method(self, order_id: str, query: Mapping[str, str]) -> Subscription | None:
        """Find out what came of `change_method`: the subscription, or None while the payer has not finished."""
        return self._run(_changes.confirm_method(self._account, order_id, self._query(query)))

    def run_due(self, limit: int = 100) -> DueReport:
        """Charge up to `limit` of what is due now and paygate runs itself. For a worker, a cron job, a beat."""
        return self._run(_due.run_due(self._account, limit))

    def claim_due(self, limit: int = 100) -> list[Row]:
        """Take what is due, for an engine that calls `execute(row.id, row.fence)` on each elsewhere."""
        return self._run(_due.claim(self._account, limit))

    def execute(self, id: str, fence: int) -> DueReport:
        """Carry out one claim of `claim_due`; safe to call any number of times, from anywhere, at any time."""
        return self._run(_due.execute(self._account, id, fence))

    def planned(self, until: datetime, limit: int = 1000) -> list[Row]:
        """What paygate is to carry out by `until`, the longest due first."""
        return self._run(_due.planned(self._account, until, limit))

    def find(self, order_id: str) -> Payment:
        """The payment under your order_id, as the PG has it now; heals the ledger."""
        return self._run(_reading.find(self._account, order_id))

    def lookup(self, provider_id: str) -> Payment:
        """The payment under the PG's id, as the PG has it now; heals the ledger."""
        return self._run(_reading.lookup(self._account, provider_id))

    def lookup_key(self, billing_key: BillingKey) -> KeyInfo:
        """What the PG knows of a billing key."""
        return self._run(_reading.lookup_key(self._account, billing_key))

    def keys(self, command: KeysOf) -> tuple[KeyInfo, ...]:
        """The billing keys that the PG has of one payer."""
        return self._run(_reading.keys(self._account, command))

    def delete_key(self, command: DeleteKey) -> None:
        """Delete a billing key at the PG."""
        return self._run(_reading.delete_key(self._account, command))

    def receive(self, headers: Mapping[str, str], body: bytes) -> Event:
        """Turn a webhook's raw body into a verified event."""
        return self._run(_receive.receive(self._account, *self._webhook(headers, body)))

    def reconcile(self, limit: int = 100, *, since: datetime | None = None) -> Report:
        """Ask the PG about up to `limit` rows that are open, unknown or pending and due for a look.

        With `since`, every payment that the PG has from then on is compared with the ledger as well: after a backup was
        restored, that finds what it has forgotten.
        """
        return self._run(_reconcile.reconcile(self._account, limit, since))

    def joining(self, connection: Any) -> Joined:
        """Join your transaction: what is recorded in the `with` block is there if you commit; nothing is sent in it."""
        return Joined(self._account, self._driver, connection)

    def pending(self, limit: int = 1000) -> list[Row]:
        """Ledger rows whose outcome is not certain yet, oldest first."""
        return self._run(listed("unresolved", self._account.scope, limit))

    def attention(self, limit: int = 1000) -> list[Row]:
        """Ledger rows that a person should look at, oldest first."""
        return self._run(listed("flagged", self._account.scope, limit))

    def trail(self, id: str) -> list[Line]:
        """Everything the ledger wrote about an order_id or cancel_id, oldest first."""
        return self._run(listed("trail", self._account.scope, id))

    def trace(self, order_id: str) -> Trace:
        """Everything the ledger knows of an order: its payment, its refunds and each line about them; asks nobody."""
        return self._run(_trace.trace(self._account, order_id))

    def resolve(self, id: str, as_: Resolution, *, by: str, why: str) -> Row:
        """Decide, as a person, what became of the unknown order or refund `id`."""
        return self._run(_decide.resolve(self._account, id, as_, by=by, why=why))

    def acknowledge(self, id: str, *, by: str, why: str) -> Row:
        """Put the attention of a settled order, refund or stray payment aside; nothing else about it changes."""
        return self._run(_decide.acknowledge(self._account, id, by=by, why=why))

    def close(self) -> None:
        """Close connections, and the ledger if `connect` opened it. Closing twice changes nothing."""
        if self._closed:
            return
        self._closed = True
        self._driver.door.close()
        if self._owns_ledger:
            self._driver.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
