"""Everything the ledger knows of one order: its payments, its refunds, every line about them. The PG is not asked."""

from __future__ import annotations

from heapq import merge

from attrs import frozen

from ..errors import BadCommand
from ..ledger.row import Book, Line, Row
from .account import Account
from .steps import Entry, Steps, get_row

_MOST_FLAGGED = 100_000


@frozen(kw_only=True)
class Trace:
    """An order as the ledger has it: the payment's row, then its refunds, then payments under it that nobody asked for
    and that are under attention; and each line about them, oldest first.
    """

    order_id: str
    rows: tuple[Row, ...]
    lines: tuple[Line, ...]


def trace(account: Account, order_id: str) -> Steps[Trace]:
    """The order called `order_id`; for a refund's cancel_id, or the PG's id of a payment nobody asked for, its order.

    Raises: BadCommand where nothing is called so.
    """
    if not isinstance(order_id, str):
        raise BadCommand(f"order_id is text, not {type(order_id).__name__}")
    rows = yield from _rows(account, order_id)
    if not rows:
        raise BadCommand(f"nothing called {order_id[:40]!r} is in the ledger")
    threads = []
    for row in rows:
        lines: list[Line] = yield Entry("trail", (account.scope, row.id))
        threads.append([line for line in lines if line.book is row.book])
    # Merged, not sorted: what was written about one row stays in the order in which it was written.
    return Trace(order_id=rows[0].order_id, rows=tuple(rows), lines=tuple(merge(*threads, key=lambda line: line.at)))


def _rows(account: Account, id: str) -> Steps[list[Row]]:
    for book in (Book.PAYMENT, Book.CANCEL, Book.STRAY):
        row = yield from get_row(account.scope, book, id)
        if row is None:
            continue
        payment = row if book is Book.PAYMENT else (yield from get_row(account.scope, Book.PAYMENT, row.order_id))
        refunds: list[Row] = yield Entry("refunds", (account.scope, row.order_id))
        beside = yield from _beside(account, row.order_id)
        first = [row] if book is Book.STRAY else []
        return [*first, *([] if payment is None else [payment]), *refunds, *(r for r in beside if r.id != id)]
    orphaned: list[Row] = yield Entry("refunds", (account.scope, id))
    return [*orphaned, *(yield from _beside(account, id))]


def _beside(account: Account, order_id: str) -> Steps[list[Row]]:
    """Payments under an order that nobody asked for, while a person has still to look at them."""
    flagged: list[Row] = yield Entry("flagged", (account.scope, _MOST_FLAGGED))
    return [row for row in flagged if row.book is Book.STRAY and row.order_id == order_id]
