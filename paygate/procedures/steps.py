"""The effects a procedure yields, and the small steps every procedure is made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from attrs import evolve, field, frozen

from ..clock import Deadline
from ..errors import BadCommand
from ..ledger.chain import altered
from ..ledger.row import Book, Closed, LedgerError, Note, Row, State, Taken
from ..ledger.rules import FOLLOWS
from ..wire import Request, Token

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Send:
    """Send a request once; the driver answers with a Response or throws `Lost`."""

    request: Request
    token: Token | None = field(repr=False)
    deadline: Deadline


@frozen
class Entry:
    """Call the ledger's method `verb`."""

    verb: str
    args: tuple[Any, ...] = ()


@frozen
class Sign:
    """Sign what is said of a change: the driver answers with a Note. `by` is a person; None is the worker itself."""

    text: str
    by: str | None = None


@frozen
class Pause:
    """Wait."""

    seconds: float


@frozen
class Alone:
    """Run `steps` while no other call of this gateway runs such steps (one token refresh for many workers)."""

    steps: Generator[Effect, Any, Any]


Effect = Send | Entry | Sign | Pause | Alone
Steps = Generator[Effect, Any, T]


def takes(*kinds: type) -> Callable[[F], F]:
    """Refuse a second argument of another type than `kinds`, before anything else is looked at.

    Raises: BadCommand.
    """
    def of(verb: F) -> F:
        @wraps(verb)
        def checked(account: Any, command: Any, *said: Any, **named: Any) -> Any:
            if not isinstance(command, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise BadCommand(f"{wanted} is asked for, not {type(command).__name__}; nothing was sent")
            return verb(account, command, *said, **named)
        return cast("F", checked)
    return of


def via(source: str, steps: Steps[T]) -> Steps[T]:
    """Run `steps`; whatever they write into the trail says that `source` told it (a webhook, the payer's return)."""
    come: Any = None
    fault: BaseException | None = None
    while True:
        try:
            effect = steps.send(come) if fault is None else steps.throw(fault)
        except StopIteration as stop:
            value: T = stop.value
            return value
        come = fault = None
        if isinstance(effect, Sign):
            effect = evolve(effect, text=f"{source}: {effect.text}")
        try:
            come = yield effect
        except BaseException as raised:
            fault = raised


def open_rows(rows: Sequence[Row], note: str, *, by: str | None = None) -> Steps[list[tuple[Row, bool]]]:
    """Write new rows down, durably."""
    signed: Note = yield Sign(note, by)
    opened: list[tuple[Row, bool]] = yield Entry("open", (rows, signed))
    return opened


def get_row(gateway: str, book: Book, id: str) -> Steps[Row | None]:
    """Read a row."""
    row: Row | None = yield Entry("get", (gateway, book, id))
    return row


def change(row: Row, note: str, *, state: State, by: str | None = None, **changes: Any) -> Steps[Row | None]:
    """Move a row on; None where somebody else moved it first. A failing store is tried twice more.

    The note is signed once: a ledger that has written it already, though it seemed to fail, says so.

    Raises: LedgerError (it may have been written all the same).
    """
    if state not in FOLLOWS[row.state]:
        raise AssertionError(f"a row does not go from {row.state} to {state}")
    if state in (State.ANSWERED, State.REFUSED) and row.sealed is not None:
        changes["sealed"] = None  # Decided: nothing is left to be charged with it.
    wanted = altered(row, state=state, **changes)
    signed: Note = yield Sign(note, by)
    changed: Row | None = None
    for pause in (0.05, 0.5, None):
        try:
            changed = yield Entry("change", (wanted, signed))
        except (Taken, Closed):
            raise
        except LedgerError:
            if pause is None:
                raise
            yield Pause(pause)
        else:
            break
    return changed


def reread(row: Row) -> Steps[Row]:
    """The row as it stands now."""
    now = yield from get_row(row.gateway, row.book, row.id)
    return row if now is None else now


def listed(verb: str, *args: Any) -> Steps[Any]:
    """One question to the ledger."""
    return (yield Entry(verb, args))
