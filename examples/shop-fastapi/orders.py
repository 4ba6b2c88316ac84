"""The shop's own database: which payer ordered what, and what became of it. No money is counted here."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from attrs import frozen

_TABLES = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, payer TEXT, product TEXT, status TEXT, note TEXT);
CREATE INDEX IF NOT EXISTS orders_of_payer ON orders (payer, product);
CREATE TABLE IF NOT EXISTS renewals (event TEXT PRIMARY KEY, order_id TEXT, note TEXT);
"""
_RANK = {"failed": 1, "paid": 2, "subscribed": 3, "partly_cancelled": 4, "cancelled": 5}
"""An order's way is one-way: a message that comes late, or twice, takes nothing back."""


@frozen(kw_only=True)
class Order:
    """One order; `status` is "open" until the shop hears of it, then a word of
    `paygate.web.Status`, or of `PaymentStatus` after a refund."""

    id: str
    payer: str
    product: str
    status: str
    note: str


class Orders:
    """The orders in one SQLite file."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._db() as db:
            db.executescript(_TABLES)

    def cart(self, payer: str, product: str) -> Order:
        """The payer's order of a product that is not over yet; where there is none, the next one, not written down:
        whoever only looks leaves nothing behind."""
        with self._db() as db:
            past = [*map(_order, db.execute("SELECT * FROM orders WHERE payer = ? AND product = ?", (payer, product)))]
        for order in past:
            if order.status not in _RANK:
                return order
        # The same in every tab until it is over. Nobody guesses it, because nobody guesses what `payer` is; and at most
        # 30 characters, because the charges of a subscription get ids derived from it.
        id = hashlib.sha256(f"{payer} {product} {len(past)}".encode()).hexdigest()[:24]
        return Order(id=id, payer=payer, product=product, status="open", note="")

    def begin(self, id: str, payer: str, products: Iterable[str]) -> Order | None:
        """The payer's order of that id; one that was only offered so far is written down."""
        for order in (self.cart(payer, product) for product in products if payer):
            if order.id == id:
                with self._db() as db:
                    db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)",
                               (order.id, payer, order.product, order.status, order.note))
        return self.find(id, payer)

    def find(self, id: str, payer: str) -> Order | None:
        """An order of this payer's."""
        with self._db() as db:
            row = db.execute("SELECT * FROM orders WHERE id = ? AND payer = ?", (id, payer)).fetchone()
            return None if row is None else _order(row)

    def becomes(self, id: str, status: str, note: str = "") -> None:
        """Write down what became of an order; said a second time without a note, it keeps the first one's."""
        with self._db() as db:
            row = db.execute("SELECT * FROM orders WHERE id = ?", (id,)).fetchone()
            if row is None or _RANK.get(status, 0) < _RANK.get((order := _order(row)).status, 0):
                return
            if status != order.status or note:
                db.execute("UPDATE orders SET status = ?, note = ? WHERE id = ?", (status, note, id))

    def noted(self, id: str, note: str) -> None:
        """Write down what the payer is to know beside the status."""
        with self._db() as db:
            db.execute("UPDATE orders SET note = ? WHERE id = ?", (note, id))

    def renewed(self, event: str, id: str, note: str) -> None:
        """Write down a later period of a subscription, once for each event."""
        with self._db() as db:
            db.execute("INSERT OR IGNORE INTO renewals VALUES (?, ?, ?)", (event, id, note))

    def renewals(self, id: str) -> list[str]:
        """What was heard of the later periods, in order."""
        with self._db() as db:
            return [note for note, in db.execute("SELECT note FROM renewals WHERE order_id = ? ORDER BY rowid", (id,))]

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.commit()


def _order(row: tuple[str, str, str, str, str]) -> Order:
    return Order(id=row[0], payer=row[1], product=row[2], status=row[3], note=row[4])
