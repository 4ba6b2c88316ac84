"""A merchant's shop at the provider's emulator: one gateway, one ledger, one clock, and a wire that sees everything.

Checks act through it like a merchant, a payer or a crowd of them. Nothing here opens a socket or sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from attrs import evolve

from ...assemble import connect, connect_async
from ...capability import Capability
from ...commands import Cancel, CancelWhole, Charge, Pay, Register, Schedule
from ...flow import Flow
from ...ledger import MemoryLedger
from ...ledger.row import Book, Ledger, Row
from ...model import BillingKey, Payment
from ...money import Money
from ...procedures.talk import Talk
from ...provider import Provider
from ...subscriptions import Subscribe
from ..emulator import Emulator, Movement
from ..story import Story
from . import amounts, origins
from .subject import Subject
from .told import Broke, NotHere, Told, expect
from .wire import Runaway, Sent, Wire

Face = Literal["sync", "async"]
FACES: tuple[Face, ...] = ("sync", "async")
BACK = "https://shop.example/payments/complete"
REASON = "the customer sent it back"


class Bench:
    """`bench.do("charge", command)` runs a verb to its end, whichever face is behind it."""

    def __init__(self, subject: Subject, face: Face = "sync", *, pg: Emulator | None = None,
                 ledger: Ledger | None = None, name: str | None = None, **settings: Any) -> None:
        self.subject = subject
        self.face: Face = face
        self.story: Story = subject.story()
        self.pg = pg or subject.emulator()
        self.clock = self.pg.clock
        self.wire = Wire(self.pg)
        self.ledger: Ledger = MemoryLedger() if ledger is None else ledger
        make: Any = connect if face == "sync" else connect_async
        self.gate = make(subject.spec, {**subject.settings(self.pg), **settings}, ledger=self.ledger, name=name,
                         http=self.wire, clock=self.clock)
        self._runner = None if face == "sync" else asyncio.Runner()
        self.origin: str | None = None
        """Where `paid` has its payments come from; None: from wherever is plainest."""
        self.orders: list[str] = []
        """Every order id that was made up here, and which of them were for registrations."""
        self.registered: list[str] = []
        self._count = 0
        self._key: BillingKey | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.shut()

    def shut(self) -> None:
        """Close the gateway and the event loop. The ledger is whoever's who made it."""
        if self._runner is None:
            self.gate.close()
        else:
            self._runner.run(self.gate.close())
            self._runner.close()

    # Asking

    @property
    def provider(self) -> Provider:
        """The provider itself."""
        made: Provider = self.gate._account.provider
        return made

    def claims(self, *capabilities: Capability) -> bool:
        return self.subject.claims(*capabilities)

    def run(self, verb: str, *args: Any) -> Any:
        """A verb of the gateway, to its end; raises what it raises."""
        made = getattr(self.gate, verb)(*args)
        return made if self._runner is None or not asyncio.iscoroutine(made) else self._runner.run(made)

    def ask(self, verb: str, *args: Any) -> Told:
        """A verb of the gateway, to its end; whatever comes out is told."""
        try:
            return Told(self.run(verb, *args))
        except Runaway as error:
            raise Broke(f"{verb} never ends: {error}") from None
        except Exception as error:
            return Told(error=error)

    def do(self, verb: str, *args: Any) -> Any:
        """A verb that has to work here.

        Raises: Broke.
        """
        return self.ask(verb, *args).expected(f"{verb} of an order that the PG takes")

    def say(self, flow: Flow[Any]) -> Told:
        """One flow of the provider alone, driven by the core's own transport, without ledger and procedure."""
        driver = self.gate._driver
        steps = Talk(self.gate._account).say(flow)
        try:
            return Told(driver.run(steps) if self._runner is None else self._runner.run(driver.run(steps)))
        except Runaway as error:
            raise Broke(f"a flow never ends: {error}") from None
        except Exception as error:
            return Told(error=error)

    def fresh(self) -> Bench:
        """The same shop at a PG that knows nothing yet."""
        made = Bench(self.subject, self.face)
        made.origin = self.origin
        return made

    def another(self, *, name: str | None = None, **settings: Any) -> Bench:
        """Somebody else's process at the same PG: another ledger, the same money."""
        made = Bench(self.subject, self.face, pg=self.pg, name=name, **settings)
        made.origin, made._count = self.origin, 1_000 + self._count
        return made

    def warm(self) -> None:
        """Have a token at hand, so that what follows is the verb's own requests."""
        if type(self.provider).token is not Provider.token:
            steps = Talk(self.gate._account)._token(None)
            driver = self.gate._driver
            driver.run(steps) if self._runner is None else self._runner.run(driver.run(steps))

    # Commands

    def order(self, word: str = "o") -> str:
        """A fresh order id, the same in every run."""
        self._count += 1
        made = amounts.order_id(self.subject.spec.profile, word, self._count)
        if made is None:
            raise Broke("no order id was found that fits the declared order_id_pattern")
        self.orders.append(made)
        return made

    @property
    def currency(self) -> str:
        return self.money.currency

    @property
    def money(self) -> Money:
        """What the story charges."""
        for command in (self.story.pay, self.story.register, self.story.subscribe):
            if command is not None:
                return command.money
        charge = self.story.charge
        if charge is None:
            raise NotHere("the emulator's story takes no money")
        return charge(BillingKey(self.gate.name, "any"), "any").money

    def won(self, amount: int) -> Money:
        """That many minor units, in the story's currency."""
        return Money(amount, self.currency)

    def another_money(self, number: int = 1) -> Money:
        """Not what the story charges, but about as much; each `number` is an amount of its own."""
        return amounts.another(self.subject.spec.profile, self.money, number)

    def pay(self, **changes: Any) -> Pay:
        """The story's payment, under a fresh order id."""
        made: Pay = evolve(_there(self.story.pay, "pay"), **{"order_id": self.order("pay"), **changes})
        return made

    def register(self, **changes: Any) -> Register:
        """The story's registration, under a fresh order id."""
        made: Register = evolve(_there(self.story.register, "register"), **{"order_id": self.order("key"), **changes})
        self.registered.append(made.order_id)
        return made

    def charge(self, key: BillingKey | None = None, **changes: Any) -> Charge:
        """The story's charge, under a fresh order id."""
        order_id = changes.pop("order_id", None) or self.order("charge")
        made: Charge = evolve(_there(self.story.charge, "charge")(key or self.key(), order_id), **changes)
        return made

    def schedule(self, *due: datetime, key: BillingKey | None = None, money: Money | None = None) -> Schedule:
        """The story's dated charge at these instants, each under a fresh order id."""
        told: Schedule = _there(self.story.schedule, "schedule")(key or self.key())
        first = told.charges[0]
        dates = due or (first.due_at,)
        return evolve(told, charges=[evolve(first, order_id=self.order("dated"), due_at=d, money=money or first.money)
                                     for d in dates])

    def subscribe(self, **changes: Any) -> Subscribe:
        """The story's subscription, under a fresh order id."""
        told = _there(self.story.subscribe, "subscribe")
        made: Subscribe = evolve(told, **{"order_id": self.order("sub"), **changes})
        return made

    def cancel(self, order_id: str, amount: int, **changes: Any) -> Cancel:
        """Part of an order back."""
        return Cancel(**{"cancel_id": self.order("back"), "order_id": order_id, "money": self.won(amount),
                         "reason": REASON, **changes})

    def cancel_whole(self, order_id: str, **changes: Any) -> CancelWhole:
        """All of an order back."""
        return CancelWhole(**{"cancel_id": self.order("back"), "order_id": order_id, "reason": REASON, **changes})

    # Acts

    def browse(self, action: Any, outcome: str = "approve") -> Mapping[str, str]:
        """The payer does what an action asks for.

        Raises: Broke where the emulator does not understand the action.
        """
        try:
            return self.pg.browse(action.to_dict(), outcome)
        except ValueError as no:
            raise Broke(f"the PG's own page cannot act on the checkout that the provider made: {no}") from None

    def key(self) -> BillingKey:
        """A billing key, registered through the front door; the same one for the whole bench."""
        if self._key is None:
            self._key = self.new_key(self.register()) if self.claims(Capability.REGISTER) else self.given_key("own")
        return self._key

    def new_key(self, command: Register) -> BillingKey:
        """A billing key of a registration that the payer approves."""
        query = self.browse(self.do("register", command).action)
        key = self.do("confirm_key", command.order_id, query)
        expect(isinstance(key, BillingKey), "a registration that the payer approved yields no billing key")
        made: BillingKey = key
        return made

    def given_key(self, word: str) -> BillingKey:
        """A billing key that the emulator issues by itself, where none can be registered.

        Raises: NotHere where it cannot.
        """
        issue = self.pg.controls().get("issue_key")
        if issue is None:
            raise NotHere("keys cannot be registered here, and the emulator has no control issue_key")
        # Long enough to be told from other text, should it come out somewhere.
        return BillingKey(self.gate.name, str(issue(f"kit-billing-key-{word}")))

    def paid(self, money: Money | None = None) -> Payment:
        """An order that has been paid, as `origin` says.

        Raises: NotHere where this provider takes no one-off money.
        """
        origin = self.origin or next(iter(origins.origins(self.subject)), None)
        if origin is None:
            raise NotHere("this provider takes no one-off money")
        return self._took(origins.paid(self, origin, money or self.money))

    def paid_in_window(self, command: Pay) -> Payment:
        """An order that the payer has paid in the PG's own window."""
        query = self.browse(self.do("pay", command).action)
        return self._took(self.do("confirm", command.order_id, query))

    def _took(self, payment: Payment) -> Payment:
        expect(payment.status.took_money, f"the PG took the money, and the payment is told as {payment.status.value}")
        return payment

    def decline_next(self, message: str | None = None) -> None:
        """Have the PG decline the next charge of a key.

        Raises: NotHere where the emulator cannot.
        """
        self.next_charge("failed", **({} if message is None else {"message": message}))

    def next_charge(self, outcome: str, **said: str) -> None:
        """Decide how the next charge of a key ends, now or dated.

        Raises: NotHere where the emulator cannot.
        """
        control = self.pg.controls().get("next_charge")
        try:
            if control is None:
                raise ValueError
            control(outcome, **said)
        except (TypeError, ValueError):
            raise NotHere(f"the emulator has no control next_charge({outcome!r}, message=…)") from None

    def settle(self) -> None:
        """Troubles are over: time passes, and the merchant reconciles now and then."""
        self.wire.calm()
        for _ in range(8):
            self.clock.advance(max(70.0, self.subject.spec.profile.settle_s.value * 0.6))
            self.do("reconcile")

    # What is true

    @property
    def journal(self) -> list[Movement]:
        return self.pg.journal.entries

    def taken(self, since: int = 0) -> int:
        """Minor units the PG took, after the first `since` movements."""
        return sum(m.money.amount for m in self.journal[since:] if m.kind == "charge")

    def charges(self, since: int = 0) -> int:
        """How often the PG took money."""
        return sum(m.kind == "charge" for m in self.journal[since:])

    def given_back(self, since: int = 0) -> int:
        """Minor units the PG gave back."""
        return sum(m.money.amount for m in self.journal[since:] if m.kind == "refund")

    def refunds(self, since: int = 0) -> int:
        """How often the PG gave money back."""
        return sum(m.kind == "refund" for m in self.journal[since:])

    def row(self, order_id: str) -> Row | None:
        """The payment's row in the ledger."""
        return self.ledger.get(self.gate._account.scope, Book.PAYMENT, order_id)

    def refund_row(self, cancel_id: str) -> Row | None:
        """The refund's row in the ledger."""
        return self.ledger.get(self.gate._account.scope, Book.CANCEL, cancel_id)

    @property
    def mark(self) -> int:
        """How many requests left so far."""
        return len(self.wire.sent)

    def sent(self, since: int = 0) -> list[Sent]:
        """The requests that left after the first `since`."""
        return self.wire.since(since)

    def silent(self, since: int, what: str) -> None:
        """Nothing was sent since.

        Raises: Broke.
        """
        lines = ", ".join(s.line for s in self.sent(since))
        expect(not lines, f"{what}, and still sent {lines}")


def _there(value: Any, what: str) -> Any:
    if value is None:
        raise Broke(f"{what} is claimed, and the emulator's story has no example of it")
    return value
