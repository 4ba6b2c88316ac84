"""The model: a merchant, a payer, a bad network and a forger do what they do, in any order, and the books still agree.

Which step comes next is drawn from the case's own seed: the same walk in every run, and with every provider alike.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, evolve, field

from ....capability import Capability
from ....errors import Conflict, PaygateError
from ....ledger.rules import FOLLOWS
from ....model import Payment
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import NotHere, expect
from ..troubles import CASES, FAULTS
from .hooks import headers_of

C = Capability
SEEDS = ("seed_1", "seed_2", "seed_3", "seed_4", "seed_5", "seed_6")
STEPS = 35


def _takes(subject: Subject) -> str | None:
    return None if subject.claims(C.CHARGE) or subject.claims(C.PAY) else "it takes no one-off money"


@define
class Walk:
    """What was asked for so far, and what it has to be compared with."""

    bench: Bench
    dice: Random
    commands: dict[str, Any] = field(factory=dict)
    windows: dict[str, Any] = field(factory=dict)
    refunds: dict[str, Any] = field(factory=dict)
    states: dict[str, Any] = field(factory=dict)
    done: list[str] = field(factory=list)

    def steps(self) -> list[Callable[[], None]]:
        """What may happen next."""
        steps = [self.time_passes, self.reconcile, self.trouble, self.calm]
        if self.bench.claims(C.CHARGE):
            steps += [self.charge, self.charge, self.charge_again, self.charge_another_amount]
        if self.bench.claims(C.PAY):
            steps += [self.open_window, self.payer_acts, self.confirm]
        if self.bench.claims(C.CANCEL, C.CANCEL_PARTLY):
            steps += [self.give_back, self.give_back_again]
        if self.bench.claims(C.FIND):
            steps.append(self.find)
        if self.bench.claims(C.RECEIVE):
            steps += [self.hear, self.hear_a_forgery]
        return steps

    def ask(self, verb: str, *args: Any) -> Any:
        """Ask, and hold what is told against the journal."""
        since = len(self.bench.journal)
        told = self.bench.ask(verb, *args)
        expect(told.error is None or isinstance(told.error, PaygateError), f"{self}: {verb} {told}")
        kind = "refund" if verb == "cancel" else "charge"
        moved = [m for m in self.bench.journal[since:] if m.kind == kind]
        expect(not (told.is_no and moved), f"{self}: {verb} {told}, and the PG did it")
        return told

    def __str__(self) -> str:
        return f"after {', '.join(self.done[-6:])}"

    # A merchant

    def charge(self) -> None:
        if len(self.commands) < 4:
            command = self.bench.charge(money=self.bench.another_money(self.dice.choice((0, 1, 2))))
            self.commands[command.order_id] = command
            self._charged(command)

    def charge_again(self) -> None:
        if self.commands:
            self._charged(self.dice.choice(list(self.commands.values())))

    def charge_another_amount(self) -> None:
        if self.commands:
            command = self.dice.choice(list(self.commands.values()))
            told = self.ask("charge", evolve(command, money=self.bench.another_money(5)))
            expect(isinstance(told.error, Conflict), f"{self}: the same order at another amount {told}")

    def _charged(self, command: Any) -> None:
        told = self.ask("charge", command)
        if told.is_yes:
            payment: Payment = told.value
            expect((payment.order_id, payment.money) == (command.order_id, command.money), f"{self}: told as {payment}")

    def give_back(self) -> None:
        if len(self.refunds) < 6 and (orders := [*self.commands, *self.windows]):
            amount = self.bench.money.amount // self.dice.choice((28, 14, 5))
            command = self.bench.cancel(self.dice.choice(orders), amount)
            self.refunds[command.cancel_id] = command
            self.ask("cancel", command)

    def give_back_again(self) -> None:
        if self.refunds:
            self.ask("cancel", self.dice.choice(list(self.refunds.values())))

    def find(self) -> None:
        if orders := [*self.commands, *self.windows]:
            self.ask("find", self.dice.choice(orders))

    def reconcile(self) -> None:
        self.ask("reconcile")

    # A payer

    def open_window(self) -> None:
        if len(self.windows) < 2:
            command = self.bench.pay()
            told = self.ask("pay", command)
            if told.is_yes:
                self.windows[command.order_id] = told.value.action

    def payer_acts(self) -> None:
        if self.windows:
            order_id = self.dice.choice(list(self.windows))
            try:
                query = self.bench.pg.browse(self.windows[order_id].to_dict(),
                                             self.dice.choice(("approve", "decline", "close")))
            except ValueError:
                return  # The PG's page is closed.
            del self.windows[order_id]
            self.commands.pop(order_id, None)
            self.ask("confirm", order_id, query)

    def confirm(self) -> None:
        if self.windows:
            order_id = self.dice.choice(list(self.windows))
            told = self.ask("confirm", order_id, {})
            took = told.is_yes and told.value.status.took_money
            expect(not took, f"{self}: nobody has paid {order_id} yet, and confirm {told}")

    # The world

    def hear(self) -> None:
        if self.bench.pg.hooks:
            hook = self.dice.choice(self.bench.pg.hooks)
            self.ask("receive", headers_of(hook), hook.body)

    def hear_a_forgery(self) -> None:
        if self.bench.pg.hooks and self.commands:
            hook = self.dice.choice(self.bench.pg.hooks)
            body = hook.body
            for order_id in self.commands:
                body = body.replace(order_id.encode(), self.dice.choice(list(self.commands)).encode())
            self.ask("receive", {"content-type": "application/json"}, body)

    def trouble(self) -> None:
        self.bench.wire.plan(CASES[self.dice.choice(FAULTS).name][0], times=self.dice.choice((1, 1, 2)))

    def calm(self) -> None:
        self.bench.wire.calm()

    def time_passes(self) -> None:
        self.bench.clock.advance(self.dice.choice((1.0, 40.0, 130.0, 4_000.0)))

    # What must hold

    def holds(self) -> None:
        """After every step."""
        bench = self.bench
        by_payment: dict[str, int] = {}
        for m in bench.journal:
            by_payment[m.provider_id] = by_payment.get(m.provider_id, 0) + (
                m.money.amount if m.kind == "charge" else -m.money.amount)
        expect(all(left >= 0 for left in by_payment.values()), f"{self}: more was given back than was taken")
        for order_id, command in self.commands.items():
            taken = [m for m in bench.journal if m.kind == "charge" and order_id in (m.order_id, m.provider_id)]
            expect(len(taken) <= 1, f"{self}: {order_id} was charged {len(taken)} times")
            for movement in taken:
                expect(movement.money == command.money, f"{self}: {order_id} was charged {movement.money}")
            row = bench.row(order_id)
            if row is not None:
                before = self.states.get(order_id, row.state)
                expect(row.state in _reachable(before), f"{self}: {order_id} went from {before} to {row.state}")
                self.states[order_id] = row.state
            if row is not None and row.state.value == "answered":
                expect(bool(taken), f"{self}: {order_id} is written down as charged, and the PG took nothing")
            known = row is not None and row.state.value != "opened"
            expect(known or not taken, f"{self}: {order_id} was charged, and the row is {row}")

    def ends(self) -> None:
        """Once the troubles are over: no doubt is left but those that a person was told of, or that the PG keeps."""
        self.bench.settle()
        for _ in range(3):
            self.bench.clock.advance(86_400)
            self.bench.do("reconcile")
        self.holds()
        for order_id in self.commands:
            row = self.bench.row(order_id)
            if row is not None and row.state.value in ("sent", "unknown", "opened"):
                expect(row.attention is not None, f"{self}: days later {order_id} is {row}, and nobody was told")


def _reachable(before: Any) -> set[Any]:
    reached, todo = {before}, [before]
    while todo:
        new = [s for s in FOLLOWS[todo.pop()] if s not in reached]
        todo += new
        reached |= set(new)
    return reached


@check(when=_takes, cases=SEEDS)
def whatever_happens_in_whatever_order_the_books_agree(bench: Bench, case: str) -> None:
    """Commands, repeats, refunds, troubles, webhooks true and forged, time; invariants after every step."""
    walk = Walk(bench, Random(case))
    if bench.claims(C.CHARGE):
        bench.key()
    for _ in range(STEPS):
        step = walk.dice.choice(walk.steps())
        walk.done.append(step.__name__)
        step()
        walk.holds()
    walk.ends()


@check(C.RECEIVE, faces=SYNC)
def any_bytes_are_a_hint_or_forged(bench: Bench) -> None:
    """A hundred bodies and headers that Hypothesis thinks of: nothing but Forged is raised, and nobody is asked."""
    try:
        from hypothesis import given, settings
        from hypothesis import strategies as st
    except ModuleNotFoundError:
        raise NotHere("hypothesis is not installed: pip install 'paygate-core[testing]'") from None
    from .hooks import read

    bench.paid()
    parts = {part for hook in bench.pg.hooks[:2] for part in hook.body.decode("utf-8", "ignore").split('"')}
    words = [*sorted(parts)[:20], '"', ":", ",", "{", "}", "[", "]", "1"]
    names = [name for hook in bench.pg.hooks[:1] for name in headers_of(hook)] or ["content-type"]
    likely = st.lists(st.sampled_from(words), max_size=30).map(lambda found: "".join(found).encode())
    bodies = st.one_of(st.binary(max_size=200), likely)
    heads = st.dictionaries(st.sampled_from([*names, "content-type"]), st.text(max_size=40), max_size=3)
    mark = bench.mark

    @settings(derandomize=True, database=None, max_examples=100, deadline=None)
    @given(heads, bodies)
    def reads(headers: dict[str, str], body: bytes) -> None:
        read(bench, headers, body)

    reads()
    bench.silent(mark, "webhooks were only read")
