"""The inbox: whatever is learnt of a payment, by webhook, by return or by asking, is told to the merchant's handlers.

An event is in the ledger before a handler hears of it, and it is told again until every handler is through with it: so
at least once, with the same `event.id` each time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define, field

from ..async_gateway import AsyncGateway
from ..errors import BadCommand, BadSettings, Forged, OutcomeUnknown
from ..gateway import Gateway
from ..ledger.row import Row
from ..model import Event, EventKind, Hint
from ..procedures import early as _early
from ..procedures import facts as _facts
from ..procedures import inbox as _inbox
from ..procedures import listing as _listing
from ..procedures import periods as _periods
from ..procedures import receive as _receive
from ..procedures.receive import NoRecord
from ..procedures.reconcile import Report
from ..procedures.steps import Steps
from .exchange import Exchange, do
from .limits import Lookups
from .run import carry_out, carry_out_async

log = logging.getLogger("paygate.web")

G = TypeVar("G", Gateway, AsyncGateway)
Handler = TypeVar("Handler", bound=Callable[[Event], Any])


@define
class Work:
    """What a walk did: the report of each gateway's `reconcile`, and events whose handlers were called."""

    reports: dict[str, Report] = field(factory=dict)
    told: list[str] = field(factory=list)
    failed: dict[str, str] = field(factory=dict)
    """Events whose handler failed, and with what. They are told again later."""


class Base(Generic[G]):
    """What both faces share. `gateways` all receive webhooks; the first is where new payments begin.

    `lookups_per_s` bounds how many look-ups the unsigned webhooks of one gateway may cause; what one told too early is
    looked up again by `work`, half as often at most.
    """

    def __init__(self, *gateways: G, lookups_per_s: float = 5.0) -> None:
        self.gateways: dict[str, G] = {gate.name: gate for gate in gateways}
        if not gateways or len(self.gateways) != len(gateways):
            raise BadSettings("an inbox is for one or several gateways, each with its own name")
        if not 0 < lookups_per_s <= 10_000:
            raise BadSettings("lookups_per_s is a number above zero")
        self.first: G = gateways[0]
        self._lookups = {gate.name: Lookups(gate._account.clock, lookups_per_s) for gate in gateways}
        self._handlers: dict[EventKind, list[Callable[[Event], Any]]] = {}
        self._told_of: dict[str, set[str]] = {gate.name: set() for gate in gateways}

    def on(self, *kinds: EventKind | str) -> Callable[[Handler], Handler]:
        """Register a handler, sync or async, of events of these kinds: `@inbox.on("payment_paid")`.

        It is called after the ledger was written, at least once for each event, with the same `event.id` each time.

        Raises: BadCommand for a word that is no kind of event.
        """
        wanted = [_kind(k) for k in kinds]
        if not wanted:
            raise BadCommand(f"name the events to be told of: {', '.join(EventKind)}")

        def register(handler: Handler) -> Handler:
            for kind in wanted:
                self._handlers.setdefault(kind, []).append(handler)
            for gate in self.gateways.values():
                gate._account.listens |= set(wanted)
            return handler
        return register

    def named(self, gateway: str | None) -> G:
        """The gateway of that name, or the only one.

        Raises: BadCommand.
        """
        if gateway is None and len(self.gateways) > 1:
            raise BadCommand(f"say which gateway: {', '.join(self.gateways)}")
        if gateway is not None and gateway not in self.gateways:
            raise BadCommand(f"no gateway is called {ascii(gateway)[:40]}")
        return self.first if gateway is None else self.gateways[gateway]

    # Steps, for both faces and for the receiver

    def open_steps(self, gate: G, headers: Mapping[str, str], body: bytes) -> Exchange[_receive.Letter]:
        """Read a webhook and check its signature. Nothing is asked yet.

        Raises: Forged.
        """
        yield from self._announced(gate)
        letter: _receive.Letter = yield do(gate._run, _receive.read(gate._account, *gate._webhook(headers, body)))
        return letter

    def take_steps(self, gate: G, letter: _receive.Letter) -> Exchange[Event]:
        """Look up what a webhook names, write down what that proves, and tell the handlers.

        Raises: Forged; OutcomeUnknown where it could not be looked up now; whatever a handler raises.
        """
        event = yield from self._looked_up(gate, letter)
        failed = yield from self.tell_steps(gate, event)
        if failed is not None:
            raise failed
        return event

    def _announced(self, gate: G) -> Exchange[None]:
        """Let other processes know what is listened to, once for each kind."""
        wanted = gate._account.listens & set(self._handlers)
        if not wanted <= self._told_of[gate.name]:
            yield do(gate._run, _inbox.listen(gate._account, wanted))
            self._told_of[gate.name] |= wanted

    def _looked_up(self, gate: G, letter: _receive.Letter) -> Exchange[Event]:
        account, hint = gate._account, letter.hint
        look = partial(_receive.take, account, letter)
        if hint.is_signed:
            return (yield from self._kept(gate, hint, look()))
        lookups = self._lookups[gate.name]
        # What it claims as a whole: somebody else's mistake about a payment must not silence the truth about it.
        claimed = repr((hint.kind, hint.provider_id, hint.alias, hint.order_id, hint.claim, hint.identity))
        if lookups.is_refused(claimed):
            raise Forged("the PG said just now that it has no record of this; nothing was changed")
        subject = f"{hint.kind} {hint.provider_id or hint.alias or hint.order_id}"
        known: bool = yield do(gate._run, _inbox.knows(account, hint))
        if not lookups.begin(subject, known=(hint.order_id or subject) if known else None):
            raise OutcomeUnknown("too many webhooks at once; answer so that it is sent again")
        try:
            event = yield from self._kept(gate, hint, look())
        except Forged:
            lookups.refuse(claimed)
            raise
        finally:
            lookups.end(subject)
        return event

    def _kept(self, gate: G, hint: Hint, look: Steps[Event]) -> Exchange[Event]:
        """Look; what the PG's records do not bear out is kept for later, where nobody else would find it out."""
        try:
            event: Event = yield do(gate._run, look)
        except (NoRecord, OutcomeUnknown):
            if _early.is_kept(gate._account, hint):
                try:
                    yield do(gate._run, _early.keep(gate._account, hint))
                except Exception:
                    log.exception("a webhook of %s could not be kept", gate.name)
                    raise OutcomeUnknown("the ledger cannot be used; answer so that it is sent again") from None
            raise
        return event

    def tell_steps(self, gate: G, event: Event) -> Exchange[Exception | None]:
        """Tell an event to its handlers, unless they know it; what one of them raised, if one did."""
        if event.kind not in self._handlers:
            return None
        row: Row | None = yield do(gate._run, _inbox.claim(gate._account, event))
        return None if row is None else (yield from self._call(gate, row, event))

    def tell_order_steps(self, gate: G, order_id: str) -> Exchange[None]:
        """Tell what became of an order by now. What its handlers raise is logged, and told again later."""
        event: Event | None = yield do(gate._run, _facts.of_order(gate._account, order_id))
        if event is not None:
            yield from self.tell_steps(gate, event)

    def _call(self, gate: G, row: Row, event: Event) -> Exchange[Exception | None]:
        try:
            for handler in self._handlers.get(event.kind, ()):
                yield do(handler, event)
        except Exception as error:
            log.exception("a handler of %s failed; it is told again", event.id)
            yield do(gate._run, _inbox.not_told(gate._account, row, type(error).__name__))
            return error
        yield do(gate._run, _inbox.told(row))
        return None

    def _work_steps(self, limit: int) -> Exchange[Work]:
        work = Work()
        for gate in self.gateways.values():
            yield from self._announced(gate)
            report: Report = yield do(gate.reconcile, limit)
            yield do(gate._run, _listing.listed(gate._account, report))
            yield do(gate._run, _periods.renewed(gate._account, limit, report))
            work.reports[gate.name] = report
            yield from self._early_steps(gate)
            rows: list[Row] = yield do(gate._run, _inbox.untold(gate._account, limit, self._handlers))
            for row in rows:
                yield from self._again(gate, row, work)
        return work

    def _early_steps(self, gate: G) -> Exchange[None]:
        """Look up again what webhooks told before the PG's records did. What comes of it is told like all else."""
        lookups = self._lookups[gate.name]
        rows: list[Row] = yield do(gate._run, _early.due(gate._account, _early.MOST))
        for row in rows:
            if not lookups.begin_again(row.id):
                return
            try:
                is_answered: bool = yield do(gate._run, _early.look_again(gate._account, row))
            except Exception as error:
                log.exception("what a webhook of %s told could not be looked up", gate.name)
                yield do(gate._run, _early.later(gate._account, row, type(error).__name__))
                return
            finally:
                lookups.end(row.id)
            if not is_answered:
                return

    def _again(self, gate: G, row: Row, work: Work) -> Exchange[None]:
        held: Row | None = yield do(gate._run, _inbox.take(gate._account, row))
        if held is None:
            return
        failed = yield from self._call(gate, held, _facts.event_of(held))
        if failed is None:
            work.told.append(row.id)
        else:
            work.failed[row.id] = type(failed).__name__

    def _replay_steps(self, gate: G, id: str) -> Exchange[Event]:
        row: Row | None = yield do(gate._run, _inbox.written(gate._account, id))
        if row is None:
            raise BadCommand(f"no event {ascii(id)[:80]} was written down")
        event = _facts.event_of(row)
        for handler in self._handlers.get(event.kind, ()):
            yield do(handler, event)
        return event


def _kind(word: EventKind | str) -> EventKind:
    try:
        return EventKind(word)
    except ValueError:
        raise BadCommand(f"{ascii(word)[:40]} is no kind of event; they are: {', '.join(EventKind)}") from None


class Inbox(Base[Gateway]):
    """The inbox of one or several gateways, for threads."""

    def receive(self, headers: Mapping[str, str], body: bytes, *, gateway: str | None = None) -> Event:
        """Take a webhook: check, look up, write down, tell the handlers.

        Raises: as `Gateway.receive`; whatever a handler raises (the event is kept, and told again).
        """
        gate = self.named(gateway)
        letter = carry_out(self.open_steps(gate, headers, body))
        return carry_out(self.take_steps(gate, letter))

    def work(self, limit: int = 100) -> Work:
        """Reconcile every gateway, and tell what was not told yet. Call it every minute.

        Where a PG's webhooks do not tell everything, its list of payments is read once an hour.
        """
        return carry_out(self._work_steps(limit))

    def replay(self, id: str, *, gateway: str | None = None) -> Event:
        """Call the handlers of an event once more, whether or not they know it."""
        return carry_out(self._replay_steps(self.named(gateway), id))


class AsyncInbox(Base[AsyncGateway]):
    """The inbox of one or several gateways, for one asyncio event loop."""

    async def receive(self, headers: Mapping[str, str], body: bytes, *, gateway: str | None = None) -> Event:
        """Take a webhook: check, look up, write down, tell the handlers.

        Raises: as `AsyncGateway.receive`; whatever a handler raises (the event is kept, and told again).
        """
        gate = self.named(gateway)
        letter = await carry_out_async(self.open_steps(gate, headers, body))
        return await carry_out_async(self.take_steps(gate, letter))

    async def work(self, limit: int = 100) -> Work:
        """Reconcile every gateway, and tell what was not told yet. Call it every minute."""
        return await carry_out_async(self._work_steps(limit))

    async def replay(self, id: str, *, gateway: str | None = None) -> Event:
        """Call the handlers of an event once more, whether or not they know it."""
        return await carry_out_async(self._replay_steps(self.named(gateway), id))

