"""The effects a procedure yields, and the small steps every procedure is made of."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from ..clock import Deadline
from ..ledger.row import Book, LedgerError, Row, State, Taken
from ..ledger.rules import FOLLOWS
from ..wire import Request, Token

T = TypeVar("T")


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
class Pause:
    """Wait."""

    seconds: float


@frozen
class Alone:
    """Run `steps` while no other call of this gateway runs such steps (one token refresh for many workers)."""

    steps: Generator[Effect, Any, Any]


Effect = Send | Entry | Pause | Alone
Steps = Generator[Effect, Any, T]


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
        if isinstance(effect, Entry) and effect.verb in ("change", "open"):
            what, note = effect.args
            effect = Entry(effect.verb, (what, f"{source}: {note}"))
        try:
            come = yield effect
        except BaseException as raised:
            fault = raised


def open_rows(rows: Sequence[Row], note: str) -> Steps[list[tuple[Row, bool]]]:
    """Write new rows down, durably."""
    opened: list[tuple[Row, bool]] = yield Entry("open", (rows, note))
    return opened


def get_row(gateway: str, book: Book, id: str) -> Steps[Row | None]:
    """Read a row."""
    row: Row | None = yield Entry("get", (gateway, book, id))
    return row


def change(row: Row, note: str, *, state: State, **changes: Any) -> Steps[Row | None]:
    """Move a row on; None where somebody else moved it first. A failing store is tried twice more.

    Raises: LedgerError (it may have been written all the same).
    """
    if state not in FOLLOWS[row.state]:
        raise AssertionError(f"a row does not go from {row.state} to {state}")
    wanted = evolve(row, state=state, **changes)
    changed: Row | None = None
    for tries, pause in enumerate((0.05, 0.5, None)):
        try:
            changed = yield Entry("change", (wanted, note))
        except Taken:
            raise
        except LedgerError:
            if pause is None:
                raise
            yield Pause(pause)
        else:
            return (yield from _if_ours(wanted)) if changed is None and tries else changed
    return changed


def _if_ours(wanted: Row) -> Steps[Row | None]:
    """After a write that seemed to fail, the row may have been moved by that very write."""
    stored = yield from get_row(wanted.gateway, wanted.book, wanted.id)
    return stored if stored == evolve(wanted, fence=wanted.fence + 1) else None


def reread(row: Row) -> Steps[Row]:
    """The row as it stands now."""
    now = yield from get_row(row.gateway, row.book, row.id)
    return row if now is None else now


def listed(verb: str, *args: Any) -> Steps[Any]:
    """One question to the ledger."""
    return (yield Entry(verb, args))
