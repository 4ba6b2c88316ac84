"""The history of one simulated world, written down as the judge reads it: by the PG's side and by the merchant's."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from ...wire import Response
from ..asks import Asks
from ..emulator import Answer, Broken, Call, Emulator, Fault, FaultKind
from .checker import Judge
from .faults import LIES, Odd, Trouble

_READ_LAG_S = 110.0
"""How long after it first heard of an order the PG may still answer from an old copy: less than the settle window."""

CALLING: ContextVar[int | None] = ContextVar("CALLING", default=None)
"""The merchant's call on whose behalf requests arrive now; every task of an event loop has its own."""


@frozen
class _Shown:
    """A whole answer to a look-up, and what had been given back when it was made."""

    response: Response
    back: int


@define(eq=False)
class Recorder:
    """Stands between the network and an emulator."""

    emulator: Emulator
    judge: Judge
    keep: bool = False
    """Whether to keep the whole history, for a person who looks into a failure."""
    history: list[dict[str, Any]] = field(factory=list)
    calls: int = 0
    _asked: dict[int, dict[str, Any]] = field(factory=dict)
    _orders: dict[str, str] = field(factory=dict)
    """The PG's ids → our order."""
    taken: dict[str, int] = field(factory=dict)
    """What the PG took, by our order."""
    given_back: dict[str, int] = field(factory=dict)
    """What it gave back, by our order."""
    _entries: int = 0
    _causes: dict[int, tuple[Call, int | None]] = field(factory=dict)
    """Calls that may still have an effect, by identity, and the merchant's call behind each."""
    _held: list[dict[str, Any]] | None = None
    _shown: dict[str, _Shown] = field(factory=dict)
    _heard_at: dict[str, float] = field(factory=dict)
    _last_answer: Response | None = None

    def __attrs_post_init__(self) -> None:
        truly = self.emulator.answer

        def answer(call: Call) -> Response:
            self.sync()
            try:
                return truly(call)
            finally:
                self.sync(self._causes.get(id(call), (call, None))[1])

        self.emulator.answer = answer  # type: ignore[method-assign]

    def now(self) -> float:
        return self.emulator.clock.monotonic()

    def note(self, what: str, **said: Any) -> None:
        """Write one event down."""
        event = {"what": what, "at": self.now(), **said}
        if self._held is not None:
            self._held.append(event)
            return
        if self.keep:
            self.history.append(event)
        self.judge.feed(event)

    # The merchant's side

    def ask(self, verb: str, *, order: str | None = None, intent: str | None = None, amount: int | None = None,
            **more: Any) -> int:
        """The merchant calls; returns the call's number. `more`: cart, currency, key and due, where there are any."""
        self.sync()
        self.calls += 1
        if order is not None:
            self._orders.setdefault(order, order)
        self._asked[self.calls] = asked = {"verb": verb, "order": order, "intent": intent or order, "amount": amount,
                                           **more}
        self.note("asked", call=self.calls, **asked)
        return self.calls

    def tell(self, call: int, said: str, amount: int | None = None, order: str | None = None) -> None:
        """The merchant is told."""
        self.sync()
        more = {} if order is None else {"order": order}
        self.note("told", call=call, said=said, amount=amount, **more)

    def bind(self, theirs: str | None, order: str) -> None:
        """The PG's name for an order of ours, as the merchant was told it."""
        if theirs is not None:
            self._orders[theirs] = order

    # The PG's side

    def sync(self, cause: int | None = None) -> None:
        """Write down what money has moved since the last time; `cause` is the merchant's call behind it."""
        entries = self.emulator.journal.entries
        while self._entries < len(entries):
            moved = entries[self._entries]
            self._entries += 1
            asked = self._asked.get(cause or 0, {})
            order = self._orders.get(moved.order_id) or (asked.get("order") if moved.kind == "charge" else None) \
                or moved.order_id
            self._orders[moved.provider_id] = self._orders[moved.order_id] = order
            intent = order if moved.kind == "charge" else asked.get("intent") or f"beside the ledger {self._entries}"
            tally = self.taken if moved.kind == "charge" else self.given_back
            tally[order] = tally.get(order, 0) + moved.money.amount
            self.note("moved", kind=moved.kind, order=order, intent=intent, amount=moved.money.amount, call=cause,
                      currency=moved.money.currency, since=self._second(moved.at))

    def _second(self, at: datetime) -> float:
        """The second of the simulation at which something happened."""
        return self.now() - (self.emulator.clock.now() - at).total_seconds()

    def exchange(self, call: Call, asks: Asks, trouble: Trouble | None) -> Answer:
        """Let a call arrive at the PG with its trouble, and return what comes back."""
        self.sync()
        self._causes[id(call)] = call, CALLING.get()
        orders = asks.orders or tuple(filter(None, [self._orders.get(asks.provider_id or "")]))
        for id_ in orders:
            self._heard_at.setdefault(id_, self.now()) if asks.kind in ("charge", "schedule") else None
        self._held = []
        try:
            answer = self._answered(call, asks, orders, trouble)
        finally:
            held, self._held = self._held, None
        if asks.kind == "look":
            self._looked(call, asks, orders, answer, trouble)
        elif asks.kind not in ("token", "other"):
            self._requested(asks, orders, answer, trouble)
        for event in held:
            self.note(**event)
        return answer

    def _answered(self, call: Call, asks: Asks, orders: tuple[str, ...], trouble: Trouble | None) -> Answer:
        if trouble is Odd.STALE:
            return self._stale(call, orders)
        if trouble is Odd.OTHERS_ANSWER_BEFORE:
            return self._last_answer or Broken("drop")
        self.emulator.faults = [Fault(trouble)] if isinstance(trouble, FaultKind) else []
        answer = self.emulator.handle(call)
        if asks.kind in ("look", "token") or not isinstance(answer, Response) or answer.status != 200:
            return answer
        last, self._last_answer = self._last_answer, answer
        return last if trouble is Odd.OTHERS_ANSWER and last is not None else answer

    def _stale(self, call: Call, orders: tuple[str, ...]) -> Answer:
        """What a copy that lags behind would say: the last answer, else that it knows nothing."""
        self.emulator.clock.run_due()
        since = [self._heard_at[o] for o in orders if o in self._heard_at]
        if not since or self.now() - max(since) > _READ_LAG_S:
            return self.emulator.handle(call)
        if (shown := self._shown.get(call.target)) is not None:
            return shown.response
        return self.emulator.answer(Call(call.method, call.target.replace(orders[0], "nobody"), call.headers))

    def _looked(self, call: Call, asks: Asks, orders: tuple[str, ...], answer: Answer, trouble: Trouble | None) -> None:
        back = sum(self.given_back.get(o, 0) for o in orders)
        shown = "nothing"
        # About what it does not know a PG has nothing to lie: the lie is then the truth.
        if isinstance(answer, Response) and (trouble in (None, Odd.STALE, Odd.PAUSED) or (
                trouble in LIES and answer == self.emulator.answer(call))):
            name = asks.orders[0] if asks.orders else asks.provider_id or ""
            if answer.status == 404 or (answer.status == 200 and name.encode() not in answer.body):
                shown = "absent"
            elif answer.status == 200:
                shown = "record"
        elif isinstance(answer, Response) and trouble is FaultKind.LIE_FAILED and answer.status == 200:
            shown = "failed"
            old = self._shown.get(call.target)
            if old is not None and old.response is answer:
                back = old.back
            elif trouble is None and shown != "nothing":
                self._shown[call.target] = _Shown(answer, back)
        self.note("look", orders=orders, shown=shown, back=back, trouble=trouble)

    def _requested(self, asks: Asks, orders: tuple[str, ...], answer: Answer, trouble: Trouble | None) -> None:
        asked = self._asked.get(CALLING.get() or 0, {})
        if asks.kind in ("charge", "refund") and not orders:
            orders = (asked.get("order") or "?",)
        intents = (asked.get("intent") or "?",) if asks.kind == "refund" else orders
        mild = _unprocessed(answer, self.emulator)
        terms = [{"amount": one.amount, "currency": one.currency, "key": asks.key,
                  "due": None if one.due_at is None else self._second(one.due_at)} for one in asks.dated] or [
            {"amount": asks.amount, "currency": asks.currency, "key": asks.key, "due": None}] * len(intents)
        self.note("request", kind=asks.kind, orders=orders, intents=intents, terms=terms, guarded=asks.guarded,
                  fate="unprocessed" if mild else "maybe", call=CALLING.get(), trouble=trouble)


def _unprocessed(answer: Answer, emulator: Emulator) -> bool:
    """Whether the client was told completely that the PG did not begin."""
    if isinstance(answer, Broken):
        return answer.response is not None and answer.response.status in (401, 429)
    return answer.status in (401, 429, emulator.unauthorized().status)
