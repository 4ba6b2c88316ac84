"""What a plugin implements: a Provider of flows, and the ProviderSpec that declares it without credentials or I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from .capability import Capability, Profile
from .commands import Cancel, Charge, DeleteKey, KeysOf, Pay, Register, Schedule, Unschedule
from .errors import Unsupported
from .flow import Flow
from .model import Checkout, Hint, KeyInfo, Payment, ScheduledCharge
from .money import Money
from .secret import Secret
from .subscriptions import ChangeInterval, ChangeMethod, MoveNext, Renew, Subscribe, Subscription, Unsubscribe
from .wire import Response, Token

if TYPE_CHECKING:
    from .testing.emulator import Emulator


class Provider:
    """Verbs of one PG, as flows. Implement the ones that the spec claims; the core never calls another.

    A flow raises Refused (or a class under it) only where a complete answer of the PG says no, returns a value only
    where a complete answer says so, and raises OutcomeUnknown for everything it does not understand. The core does the
    rest: tokens, deadlines, what to retry, the ledger, the comparison with what was asked, the confirming look-up.
    """

    return_keys: tuple[str, ...] = ()
    """The names that `read_return` reads. A page brings back nothing else; all it was given where there is none."""

    def token(self) -> Flow[Token]:
        """Fetch an access token. Called by the core, one at a time, when a request with `auth=True` needs one."""
        raise Unsupported("this provider has no token; nothing was sent")

    def check(self, command: Any) -> None:
        """Refuse a command this PG could not take (its own lengths, its own `extra` fields), before anything is sent.

        Raises: BadCommand or Unsupported.
        """

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        """Prepare a one-off payment and say what to show the payer.

        `prepared` is the `Checkout.provider_id` of the same command's earlier window, if it was shown before: show
        that one again, do not make another.
        """
        raise Unsupported("pay is not offered; nothing was sent")

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        """Prepare a billing-key registration and say what to show the payer; `prepared` as in `pay`."""
        raise Unsupported("register is not offered; nothing was sent")

    def key_value(self, command: Register) -> Secret | None:
        """The value of the billing key that `command` will yield, where the merchant's side names it; else None."""
        return None

    def key_of(self, order_id: str) -> Secret | None:
        """The value that `key_value` gives a registration of `order_id` which names none itself; else None."""
        return None

    def payer_of(self, command: Any) -> Secret | None:
        """Our name for the payer as this PG is told it and repeats it in `Payment.payer`; None where it does not."""
        return None

    def issued_key(self, payment: Payment, note: str | None = None,
                   is_told: Callable[[Secret], bool] | None = None) -> Flow[Secret | None]:
        """The value of the billing key that a registration's `payment`, just looked up, issued; None where none.

        `note` is the `Checkout.note` of its window. `is_told`, where the key was told before, recognises it. Where more
        than one key could be the one, none is guessed: OutcomeUnknown.
        """
        yield from ()
        return payment.key

    def hide_key(self, payment: Payment) -> Payment:
        """`payment` as it may be stored and shown, where it may have issued a billing key and the key is its own id.

        The `provider_id` put in the key's place must be the same every time, and `lookup`, `cancel` and `issued_key`
        must take it (see `paygate.secret.sealed`). Pure. Most PGs have nothing to hide here.
        """
        return payment

    def capture(self, order_id: str, money: Money | None, hint: Hint) -> Flow[Payment]:
        """Do what the payer approved in the window: take `money`, or issue the billing key where `money` is None.

        `hint` is what the payer's return claims, and has an `approval`. The money is the ledger's, never the return's.
        Asked for once, like `charge`; raises Declined likewise. The PG must refuse an approval of another order or
        amount; where it would not, look before you ask. Of a registration that no look-up tells later, `provider_id`
        is all that is kept: `issued_key` finds the key by it (see `paygate.secret.sealed`).
        """
        raise Unsupported("capture is not offered; nothing was sent")

    def charge(self, command: Charge) -> Flow[Payment]:
        """Charge a billing key. Raises Declined where the PG's record says the payer's means was declined."""
        raise Unsupported("charge is not offered; nothing was sent")

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        """Give `command.money` back from `payment`, just looked up; returns the payment after it.

        Where the PG said that it did, and the payment cannot be read afterwards, raise an OutcomeUnknown whose
        `accepted` is True: then a record that does not show the refund is never taken for proof that it was not made.
        """
        raise Unsupported("cancel is not offered; nothing was sent")

    def schedule(self, command: Schedule) -> Flow[tuple[ScheduledCharge, ...]]:
        """Have the PG hold dated charges."""
        raise Unsupported("schedule is not offered; nothing was sent")

    def unschedule(self, command: Unschedule) -> Flow[tuple[str, ...]]:
        """Stop the named dated charges; returns the order ids that the PG says it stopped."""
        raise Unsupported("unschedule is not offered; nothing was sent")

    def find(self, order_id: str) -> Flow[tuple[Payment, ...]]:
        """Every payment the PG knows under our `order_id`; empty where it knows none."""
        raise Unsupported("find is not offered; nothing was sent")

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        """The payment under the PG's own id; None where it knows none.

        `order_id` is the order of ours that the ledger bound to `provider_id` before any payer saw it. It goes into the
        Payment only where the PG stores no ids of ours; where that PG's payment belongs to no known order, the Payment
        gets an order_id that cannot be one of ours. A PG that does name our order is believed, and `order_id` ignored.
        """
        raise Unsupported("lookup is not offered; nothing was sent")

    def listing(self, start: datetime, end: datetime) -> Flow[tuple[Payment, ...]]:
        """Every payment on which money moved, taken or given back, with start <= instant < end, whoever asked for it.

        Asked for a day at a time. One may come twice, or be from just outside.
        """
        raise Unsupported("listing is not offered; nothing was sent")

    def find_schedule(self, order_id: str) -> Flow[ScheduledCharge | None]:
        """The dated charge under our `order_id`; None where the PG knows none."""
        raise Unsupported("find_schedule is not offered; nothing was sent")

    def schedules(self, key: Secret, start: datetime, end: datetime) -> Flow[tuple[ScheduledCharge, ...]]:
        """The dated charges of a billing key with start <= due_at < end."""
        raise Unsupported("schedules is not offered; nothing was sent")

    def lookup_key(self, key: Secret, gateway: str) -> Flow[KeyInfo | None]:
        """What the PG knows of a billing key; None where it knows none. `gateway` goes into the BillingKey."""
        raise Unsupported("lookup_key is not offered; nothing was sent")

    def keys(self, command: KeysOf, gateway: str) -> Flow[tuple[KeyInfo, ...]]:
        """The billing keys the PG has of one payer; none where it does not know them. Nobody is made a customer."""
        raise Unsupported("keys is not offered; nothing was sent")

    def delete_key(self, command: DeleteKey) -> Flow[None]:
        """Delete a billing key; repeating it changes nothing."""
        raise Unsupported("delete_key is not offered; nothing was sent")

    def subscribe(self, command: Subscribe, prepared: str | None = None) -> Flow[Checkout]:
        """Prepare a subscription that the PG runs, and say what to show the payer; `prepared` as in `pay`."""
        raise Unsupported("subscribe is not offered; nothing was sent")

    def subscription(self, order_id: str, prepared: str) -> Flow[Subscription | None]:
        """The subscription that `order_id` began; `prepared` is its `Checkout.provider_id`. None before it began.

        Where the PG names the payments by which it renewed it, `renewed_by` has their ids, as `lookup` takes them.
        """
        raise Unsupported("subscribe is not offered; nothing was sent")

    def unsubscribe(self, command: Unsubscribe, subscription: Subscription) -> Flow[None]:
        """Stop a subscription, just read; repeating it changes nothing."""
        raise Unsupported("unsubscribe is not offered; nothing was sent")

    def pause(self, subscription: Subscription) -> Flow[None]:
        """Charge nothing until `resume`."""
        raise Unsupported("pause is not offered; nothing was sent")

    def resume(self, subscription: Subscription) -> Flow[None]:
        """Charge again."""
        raise Unsupported("pause is not offered; nothing was sent")

    def move_next(self, command: MoveNext, subscription: Subscription) -> Flow[None]:
        """Move the next charge."""
        raise Unsupported("move_next is not offered; nothing was sent")

    def change_interval(self, command: ChangeInterval, subscription: Subscription) -> Flow[None]:
        """Charge at another interval from the next period on."""
        raise Unsupported("change_interval is not offered; nothing was sent")

    def change_method(self, command: ChangeMethod, subscription: Subscription) -> Flow[Checkout]:
        """Say what to show the payer to choose another means of payment."""
        raise Unsupported("change_method is not offered; nothing was sent")

    def renew(self, command: Renew, subscription: Subscription) -> Flow[Payment]:
        """Charge a subscription's next period now; `subscription` was just read and costs exactly `command.money`."""
        raise Unsupported("renew is not offered; nothing was sent")

    def read_return(self, query: Mapping[str, str]) -> Hint:
        """What a browser's return (callback or redirect query) claims. Pure; raises Forged where it cannot be one.

        Set `says_paid` where it claims success: a failed record may then be an earlier attempt's, and ends no order.
        Set `approval` where it claims that the payer approved what only `capture` will do.
        """
        raise Unsupported("confirm is not offered; nothing was sent")

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """What a webhook claims, after its signature was checked where the PG signs. Pure; raises Forged.

        Header names are lower-case, each there once; `now` is for refusing what was signed too long ago.
        """
        raise Unsupported("receive is not offered; nothing was sent")

    def look_at(self, hint: Hint) -> Flow[Hint | None]:
        """The hint as the PG's own record has it, for an unsigned one that concerns no payment; None if it has none."""
        yield from ()
        return None

    def is_unprocessed(self, response: Response) -> bool:
        """Whether a complete answer says that the PG did not even begin; beside `ProviderSpec.unprocessed`. Pure."""
        return False


def _capabilities(claimed: Iterable[Capability]) -> frozenset[Capability]:
    return frozenset(claimed)


@frozen(kw_only=True)
class ProviderSpec:
    """A provider as declared: no credentials, no I/O.

    `settings` is an attrs class with a `mode` field ("test" or "live"); `build(settings)` makes the provider.
    `base_url` is the PG's own address and `hosts` the only hosts its credentials may be sent to (besides loopback,
    for a sandbox, in test mode). `emulator` is "module:Class" of the PG's emulator, imported only when asked for.
    """

    name: str
    title: str
    settings: type[Any]
    build: Callable[[Any], Provider] = field(repr=False)
    base_url: str
    hosts: tuple[str, ...]
    capabilities: frozenset[Capability] = field(converter=_capabilities)
    profile: Profile = field(repr=False)
    emulator: str | None = None
    unprocessed: frozenset[int] = field(default=frozenset({401, 429}))
    """HTTP statuses with which this PG says that it did not even begin: after them nothing can have moved.

    401 and 429 at most: any other may come from a machine in between, and is for `is_unprocessed` to read.
    """

    def load_emulator(self) -> type[Emulator]:
        """The emulator's class.

        Raises: Unsupported where the provider ships none.
        """
        if self.emulator is None:
            raise Unsupported(f"{self.name} ships no emulator")
        from importlib import import_module

        module, _, name = self.emulator.partition(":")
        made: type[Emulator] = getattr(import_module(module), name)
        return made
