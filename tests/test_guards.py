"""Every guard is needed: with it a check is green, and with it taken away the same check is red.

The checks are those that stand elsewhere: worlds of the simulation, and tests of rows of the failure table.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import paygate_portone.bodies
import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
import test_failure_rows_sending as sending
import test_failure_rows_storage as storage
import test_failure_rows_verbs as verbs
import test_ledger_postgres as postgres
import test_left_alone as left_alone
from failure_rows import Bench

from paygate import BillingKey, Cancel, LedgerError, MemoryLedger, Money, PaygateError, connect
from paygate.clock import Deadline
from paygate.ledger.row import Row, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures import begin, outcome, settle, timetable
from paygate.procedures.account import Account
from paygate.procedures.talk import Talk
from paygate.testing import EmulatorTransport, VirtualClock
from paygate.testing.simulation.run import Plan, play, spec_of

RED = (AssertionError, pytest.fail.Exception, PaygateError, LedgerError)
Check = Callable[[Path], None]


def worlds(many: int) -> Check:
    """Worlds of the simulation, in which nothing may be violated."""
    def check(folder: Path) -> None:
        plan = Plan(provider="fakepg", ledger="memory", seed="guards")
        for number in range(many):
            made = MemoryLedger()
            found = play(plan, number, lambda _, made=made: made).judge.violations  # type: ignore[misc]
            assert not found, "\n".join(map(str, found))
    return check


def of_row(test: Callable[..., None], **said: Any) -> Check:
    """A test of the failure table, on SQLite."""
    def check(folder: Path) -> None:
        with ExitStack() as stack:
            test(**said, bench=Bench("sync", "sqlite", folder, stack))
    return check


def alone(test: Callable[[], None]) -> Check:
    """A test that stands for itself."""
    return lambda folder: test()


def balance_changes_before_a_refund_arrives(folder: Path) -> None:
    """Somebody gives money back in the PG's console between our look at the balance and our request."""
    spec = spec_of("portone-naverpay")
    kind = spec.load_emulator()
    pg = kind(VirtualClock(kind().story().start))
    pg.controls()["issue_key"]("payer-1")
    gate = connect(spec, pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock)
    story = pg.story()
    assert story.charge is not None
    paid = gate.charge(story.charge(BillingKey(gate.name, "payer-1"), "order-1"))
    really = pg.handle

    def handle(call: Any) -> Any:
        if call.path == "/payments/cancel" and not [m for m in pg.journal.entries if m.kind == "refund"]:
            pg.controls()["cancel_in_console"]("order-1", 1_000)
        return really(call)
    pg.handle = handle  # type: ignore[method-assign]
    try:
        gate.cancel(Cancel(cancel_id="c1", order_id="order-1", money=Money(1_000, paid.money.currency), reason="back"))
    except PaygateError:
        pass
    assert [m.money.amount for m in pg.journal.entries if m.kind == "refund"] == [1_000], "given back on an old balance"
    gate.close()


def sqlite_file(folder: Path) -> None:
    SqliteLedger(folder / "books.db").close()


def flushed(folder: Path) -> None:
    with pg_server.database() as url:
        postgres.test_every_write_is_flushed_whatever_the_merchant_set_for_the_whole_database(url)


class Hasty(sqlite3.Connection):
    """A connection that is told to be durable and is not."""

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(text.replace("synchronous=FULL", "synchronous=NORMAL"), *values)


def _without_checksum(truly: Callable[..., dict[str, Any]], *said: Any) -> dict[str, Any]:
    return {name: value for name, value in truly(*said).items() if name != "checksum"}


def _not_flushed() -> tuple[Any, str, Any]:
    from paygate.ledger import postgres as store

    return store, "_SET", store._SET.replace("'synchronous_commit', 'on'", "'synchronous_commit', 'off'")


@frozen
class Guard:
    """`gone()` is what to put in its place: (where, name, instead)."""

    check: Check
    gone: Callable[[], list[tuple[Any, str, Any]]]


GUARDS = {
    "lease: a row that another worker holds is left alone": Guard(
        of_row(sending.test_f04_an_order_that_another_worker_is_sending_is_in_progress),
        lambda: [(Account, "is_held", lambda account, row: False),
                 (begin, "verdict", partial(_at_the_end_of_time, begin.verdict))]),
    "lease: of refunds that race one is sent": Guard(
        of_row(verbs.test_f58_refunds_that_race_are_given_one_at_a_time_and_never_more_than_was_charged),
        lambda: [(Account, "is_held", lambda account, row: False)]),
    "lease: who stood still past it does not send": Guard(
        of_row(storage.test_f44_a_worker_that_stood_still_past_its_lease_does_not_send_and_cannot_write, before=True),
        lambda: [(Deadline, "remaining_s", lambda deadline: 60.0), (Deadline, "may_begin", True)]),
    "lease: who looks at a charge on its way leaves it to its worker": Guard(
        alone(left_alone.test_who_looks_at_a_charge_that_is_on_its_way_leaves_it_to_the_worker_that_holds_it),
        lambda: _held_rows_are_moved()),
    "lease: what a dead worker sent counts from its end": Guard(
        alone(left_alone.test_what_a_dead_worker_may_have_sent_counts_from_the_end_of_its_lease),
        lambda: [(timetable, "doubt", partial(_from_the_intent, timetable.doubt))]),
    "too many: not sent again where a second one is not noticed": Guard(
        alone(left_alone.test_a_charge_turned_away_is_not_sent_again_where_the_pg_would_not_notice_a_second_one),
        lambda: [(Talk, "_is_worth_another", lambda talk, request, response: response.status == 429)]),
    "settle window: absence is believed only after it": Guard(
        worlds(8),
        lambda: [(timetable, "is_absence_proven", lambda *said: True), (timetable, "_has_waited", lambda *said: True)]),
    "settle window: two looks are not enough": Guard(
        worlds(16),
        lambda: [(timetable, "is_absence_proven", lambda row, now, settle_s: row.missed_at is not None),
                 (timetable, "_has_waited", lambda *said: True)]),
    "echo check: only what we asked for is a success": Guard(
        worlds(9), lambda: [(outcome, "contradiction", lambda *said, **more: None)]),
    "checksum: no refund against an old balance": Guard(
        balance_changes_before_a_refund_arrives,
        lambda: [(paygate_portone.bodies, "cancel", partial(_without_checksum, paygate_portone.bodies.cancel))]),
    "sync: a file that is not flushed is not opened": Guard(
        sqlite_file, lambda: [(sqlite3, "connect", partial(sqlite3.connect, factory=Hasty))]),
    "sync: a server flushes every write": Guard(flushed, lambda: [_not_flushed()]),
}


def _at_the_end_of_time(truly: Callable[..., Any], stored: Any, digest: str, now: float) -> Any:
    return truly(stored, digest, math.inf)


def _from_the_intent(truly: Callable[..., dict[str, Any]], account: Account, row: Row, now: float) -> dict[str, Any]:
    changes = truly(account, row, now)
    return {**changes, "sent_at": row.opened_at} if row.state is State.SENT else changes


def _held_rows_are_moved() -> list[tuple[Any, str, Any]]:
    """`settle` as if whoever calls it held the row, wherever it is called."""
    kept = settle.settle
    rooms = [room for name, room in sys.modules.items() if name.startswith("paygate.")]
    return [(room, "settle", _as_the_holder(kept)) for room in rooms if vars(room).get("settle") is kept]


def _as_the_holder(truly: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *said, mine=False, **more: truly(*said, mine=True, **more)


@pytest.mark.parametrize("name", GUARDS)
def test_without_any_one_guard_a_check_turns_red(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = GUARDS[name]
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    guard.check(tmp_path / "with")
    with monkeypatch.context() as patch:
        for where, attribute, instead in guard.gone():
            patch.setattr(where, attribute, instead)
        with pytest.raises(RED):
            guard.check(tmp_path / "without")
