"""What a merchant's own paygate has due, read from its ledger: no gateway knows of it. Nothing is written here."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from ..ledger.row import Book, Kind, Ledger, LedgerError, Row
from ..ledger.sqlite import SqliteLedger
from ..procedures.roll import plan_of
from ..testing.overview import Dated
from .server import log

_FOR_EVER = 1e12
_CHARGE, _PERIOD, _STEP = "dated charge 예약결제", "subscription 정기결제", "subscription 정기결제: paygate's next step"


class Merchant:
    """A merchant's ledger at the gateway of that name, in test mode."""

    def __init__(self, path: str | os.PathLike[str], gateway: str) -> None:
        self._ledger: Ledger = SqliteLedger(path, patience_s=1.0)
        self._scope = f"{gateway}/test"
        self._names: dict[str, str] = {}

    def close(self) -> None:
        self._ledger.close()

    def due(self, most: int) -> list[Dated]:
        """What paygate will do by itself, the longest due first; nothing where the ledger cannot be read now."""
        try:
            rows = self._ledger.planned(self._scope, _FOR_EVER, most)
        except LedgerError as error:
            log.warning("the ledger of %s cannot be read: %s", self._scope, error)
            return []
        return [dated for row in rows if (dated := _dated(row)) is not None]


    def own_id(self, theirs: str) -> str | None:
        """The merchant's own id of an order that the gateway calls otherwise; of a renewal, the one that began it."""
        if theirs not in self._names:
            try:
                row = self._ledger.by_provider_id(self._scope, theirs) or self._ledger.get(
                    self._scope, Book.STRAY, theirs)
            except LedgerError:
                return None
            if row is None or row.order_id == theirs:
                return None
            self._names[theirs] = row.order_id
        return self._names[theirs]


def _dated(row: Row) -> Dated | None:
    what, id = _CHARGE, row.id
    if row.kind is Kind.PLAN:
        plan = plan_of(row)
        if plan.begun_at is None or plan.next_at is None:
            return None  # It waits for the payer, or for `resume`.
        # Where the PG holds the charges, paygate looks what became of one, and has the next one held.
        what, id = _STEP if plan.held else _PERIOD, plan.charge_id
    if row.due_at is None:
        return None
    return Dated(at=datetime.fromtimestamp(row.due_at, UTC), what=what, order_id=id, money=row.money,
                 status="scheduled", is_due=True, note="in the merchant's ledger, run by paygate")
