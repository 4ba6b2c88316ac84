"""What happened, told to the merchant's handlers: written down first, told at least once, and marked as told.

These rows stand in the ledger beside the others, under a name of their own, so that nobody takes them for payments.

Such a row is OPENED before what it tells becomes true, so that a crash between the two loses nothing; whoever takes it
looks first whether it did. ANSWERED: it did. `check_at` is when to tell it next; None once it was told.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, TypeVar

from ..codec import dump
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import next_check
from ..model import Event, EventKind, Hint
from .account import Account
from .facts import event_of, fact
from .receive import as_renewal
from .steps import Entry, Pause, Steps, change, get_row, open_rows

LEASE_S = 300.0
"""How long a handler may take before the event is told again."""
_PATIENCE_S = 120.0
_LOOK_AGAIN_S = 60.0
_BELIEVED_S = 900.0
"""How long a noted event may take to come true: longer than any call."""
_FOR_EVER = 1e12
_INBOX = "inbox"
"""The row that says what is listened to."""

T = TypeVar("T")


def place(account: Account) -> str:
    """Under what the ledger keeps an account's events."""
    return f"{account.scope}/events"


def knows(account: Account, hint: Hint) -> Steps[bool]:
    """Whether a hint names an order or a payment that the ledger knows. It proves nothing: it is for taking turns."""
    if hint.order_id is not None and (yield from get_row(account.scope, Book.PAYMENT, hint.order_id)) is not None:
        return True
    if hint.provider_id is None:
        return False
    row: Row | None = yield Entry("by_provider_id", (account.scope, hint.provider_id))
    return row is not None


def listen(account: Account, kinds: Iterable[str]) -> Steps[None]:
    """From now on note events of these kinds, in this process and in those that ask the ledger (see `adopt`)."""
    account.listens |= set(kinds)
    fresh = _row(account, _INBOX, "", State.ANSWERED, " ".join(sorted(account.listens)))
    (row, is_new), = yield from open_rows([fresh], "an inbox listens")
    wanted = sorted({*(row.result or "").split(), *account.listens})
    if not is_new and row.result != " ".join(wanted):
        yield from change(row, "an inbox listens to more", state=row.state, result=" ".join(wanted))


def adopt(account: Account) -> Steps[None]:
    """Note what an inbox of another process listens to."""
    row = yield from get_row(place(account), Book.EVENT, _INBOX)
    account.listens |= set() if row is None else set((row.result or "").split())


def noting(account: Account, steps: Steps[T]) -> Steps[T]:
    """Run `steps`; whatever they write that is to be told is noted before it is written."""
    come: Any = None
    fault: BaseException | None = None
    while True:
        try:
            effect = steps.send(come) if fault is None else steps.throw(fault)
        except StopIteration as stop:
            value: T = stop.value
            return value
        come = fault = None
        if isinstance(effect, Entry) and effect.verb in ("open", "change"):
            yield from _note(account, effect.args[0] if effect.verb == "open" else [effect.args[0]])
        try:
            come = yield effect
        except BaseException as raised:
            fault = raised


def _note(account: Account, rows: Iterable[Row]) -> Steps[None]:
    for pause in (0.05, 0.5, None):
        try:
            return (yield from _written_down(account, rows))
        except LedgerError:
            if pause is None:
                return  # What is to be written now is about money and matters more.
            yield Pause(pause)
        except Exception:  # noqa: BLE001
            return  # As above, whatever is wrong with the note.


def _written_down(account: Account, rows: Iterable[Row]) -> Steps[None]:
    for written in rows:
        happened = fact(account, written) if written.gateway == account.scope else None
        if happened is None:
            continue
        happened = yield from as_renewal(account, happened)
        if happened.kind not in account.listens:
            continue
        fresh = _row(account, happened.id, happened.order_id or "", State.OPENED, dump(happened))
        (row, _), = yield from open_rows([fresh], happened.kind.value)
        if row.state is State.NOT_SENT:  # It did not come true when it was noted before; now it may.
            yield from change(row, "noted again", state=State.OPENED, check_at=account.now(), checks=0)


def _row(account: Account, id: str, order_id: str, state: State, result: str) -> Row:
    now = account.now()
    return Row(gateway=place(account), kind=Kind.EVENT, id=id, order_id=order_id, digest="", state=state,
               opened_at=now, check_at=None if id == _INBOX else now, result=result)


def claim(account: Account, happened: Event) -> Steps[Row | None]:
    """Take an event that did happen, to be told now; None where it was told, or is being told elsewhere."""
    fresh = _row(account, happened.id, happened.order_id or "", State.ANSWERED, dump(happened))
    (row, _), = yield from open_rows([fresh], happened.kind.value)
    return (yield from _taken(account, row))


def take(account: Account, row: Row) -> Steps[Row | None]:
    """Take an event that was written down; None where it was told, is being told elsewhere, or did not happen (yet)."""
    if row.state is State.OPENED and not (yield from _is_true(account, row)):
        now = account.now()
        over = now - row.opened_at > _BELIEVED_S
        yield from change(row, "it did not happen" if over else "it has not happened yet",
                          state=State.NOT_SENT if over else row.state, check_at=None if over else now + _LOOK_AGAIN_S)
        return None
    return (yield from _taken(account, row))


def _taken(account: Account, row: Row) -> Steps[Row | None]:
    now = account.now()
    if (row.check_at is None and row.state is not State.NOT_SENT) or (
            row.lease_until is not None and now < row.lease_until):
        return None
    return (yield from change(row, "handed over", state=State.ANSWERED, lease_until=now + LEASE_S,
                              check_at=now + LEASE_S))


def _is_true(account: Account, row: Row) -> Steps[bool]:
    """Whether what an event tells is what the ledger says by now, or part of it."""
    noted = event_of(row)
    stray = None if noted.payment is None else noted.payment.provider_id
    charged = None if noted.payment is None else noted.payment.order_id
    subject = noted.id.removeprefix(f"{account.name}:") if noted.payment is None else None
    rows: list[Row | None] = []
    for book, id in ((Book.PAYMENT, noted.order_id), (Book.PAYMENT, charged), (Book.PLAN, noted.order_id),
                     (Book.STRAY, stray), (Book.EVENT, subject)):
        rows.append(None if id is None else (yield from get_row(account.scope, book, id)))
    for id in filter(None, {noted.order_id, charged}):
        rows += (yield Entry("refunds", (account.scope, id)))
    said = [fact(account, held) for held in rows if held is not None]
    return any(_includes(happened, noted) for happened in said if happened is not None)


def _includes(happened: Event, noted: Event) -> bool:
    """Whether `noted` is true where `happened` is: what was given back was paid before. A failure that turned into a
    success is none.
    """
    if happened.id == noted.id:
        return True
    now, then = happened.payment, noted.payment
    return (now is not None and then is not None and now.provider_id == then.provider_id
            and now.status.took_money and then.status.took_money and then.cancelled <= now.cancelled)


def told(row: Row) -> Steps[None]:
    """Every handler is through with it."""
    yield from change(row, "told", state=row.state, lease_until=None, check_at=None, checks=0, attention=None)


def not_told(account: Account, row: Row, why: str) -> Steps[None]:
    """A handler failed: again after 5 s, 30 s, 2 min, 10 min, 1 h, then every day; after a week a person is told."""
    now = account.now()
    again = next_check(row.checks, now, _PATIENCE_S)
    yield from change(row, f"its handler failed: {why}", state=row.state, lease_until=None, checks=row.checks + 1,
                      check_at=now + 86_400.0 if again is None else again,
                      attention=row.attention if again is not None else "its handler has failed for a week")


def untold(account: Account, limit: int, kinds: Container[EventKind]) -> Steps[list[Row]]:
    """Events of these kinds that are due to be told, the longest waiting first. Others wait for another process, and
    stand in nobody's way.
    """
    asked = limit
    while True:
        rows: list[Row] = yield Entry("due", (place(account), account.now(), asked))
        fit = [row for row in rows if event_of(row).kind in kinds]
        if len(fit) >= limit or len(rows) < asked:
            return fit[:limit]
        asked *= 4


def waiting(account: Account, limit: int) -> Steps[list[Row]]:
    """Events that were not told yet, due or not."""
    rows: list[Row] = yield Entry("due", (place(account), _FOR_EVER, limit))
    return rows


def written(account: Account, id: str) -> Steps[Row | None]:
    """An event that was written down."""
    return (yield from get_row(place(account), Book.EVENT, id))
