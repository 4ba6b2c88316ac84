"""An intent that was recorded in a merchant's transaction, whose command never came: told to a person, not sent."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import KEY, Shop, cancel, charge, schedule, won

from paygate import BadCommand, DeleteKey, InProgress, Kind, Note, NotFound, Pay, Row, State
from paygate.cli.trace import verdict
from paygate.ledger.rules import RECORDED_FOR_S, digest
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures.record import NEVER_SENT

PAY = Pay(order_id="w1", money=won(14_000), title="Tea", return_url="https://shop.example/back")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(ledger=SqliteLedger(tmp_path / "shop.db")) as made:
        yield made


def recorded(shop: Shop, *commands: Any) -> None:
    """The commands are recorded and committed; then the process that was to send them dies."""
    with closing(sqlite3.connect(shop.ledger.path)) as db:
        with shop.gate.joining(db) as joined:
            for command in commands:
                joined.record(command)
        db.commit()


def waited(shop: Shop) -> None:
    shop.clock.advance(RECORDED_FOR_S + 1)
    shop.reconcile()


def test_a_recorded_intent_whose_command_never_comes_is_told_to_a_person_and_never_sent(shop: Shop) -> None:
    shop.charge(charge("paid"))
    calls = len(shop.pg.calls)
    recorded(shop, charge("o1"), cancel("c1", "paid"), schedule(shop, "s1"))
    shop.clock.advance(RECORDED_FOR_S - 1)
    shop.reconcile()
    assert shop.attention() == []
    shop.clock.advance(2)
    assert sorted(shop.reconcile().attention) == ["c1", "o1", "s1"]
    for _ in range(3):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert {(row.id, row.state, row.attention) for row in shop.attention()} == {
        (id, State.OPENED, NEVER_SENT) for id in ("c1", "o1", "s1")}
    assert len(shop.pg.calls) == calls


def test_giving_the_command_at_last_sends_it_once_and_ends_the_attention(shop: Shop) -> None:
    recorded(shop, charge("o1"))
    waited(shop)
    assert shop.charge(charge("o1")).status == "paid"
    assert shop.charge(charge("o1")).status == "paid"
    assert shop.pg.journal.charges("o1") == 1
    assert shop.attention() == shop.pending() == []


@pytest.mark.parametrize("first", [lambda shop: None, waited])
def test_a_person_may_give_it_up_as_not_sent_and_as_nothing_else(shop: Shop, first: Any) -> None:
    shop.charge(charge("paid"))
    recorded(shop, charge("o1"), cancel("c1", "paid"))
    first(shop)
    for id in ("o1", "c1"):
        for as_ in ("paid", "failed"):
            with pytest.raises(BadCommand, match="never sent"):
                shop.resolve(id, as_, by="kim", why="a guess")
        assert shop.resolve(id, "not_sent", by="kim", why="the customer left").state is State.NOT_SENT
    assert shop.pending() == shop.attention() == []
    assert shop.charge(charge("o1")).status == "paid"  # As after any resolution of that kind.
    assert shop.cancel(cancel("c2", "paid")).money == won(4_000)


def test_what_a_worker_has_taken_up_is_recorded_no_longer(shop: Shop) -> None:
    recorded(shop, charge("o1"))
    shop.pg.fault("drop_before", "^POST /charges$")
    shop.pg.fault("hang_before", "^GET ", times=3)
    with pytest.raises(Exception, match="not known"):
        shop.charge(charge("o1"))
    shop.pg.faults.clear()
    assert shop.resolve("o1", "paid", by="kim", why="seen in the console").state is State.ANSWERED


def test_resolve_and_acknowledge_do_not_send_a_person_from_one_to_the_other(shop: Shop) -> None:
    shop.pay(PAY)
    with pytest.raises(BadCommand, match="looks again by itself") as caught:
        shop.resolve("w1", "not_sent", by="kim", why="impatient")
    assert "acknowledge" not in str(caught.value)


def test_a_window_that_was_recorded_and_never_shown_ends_by_itself(shop: Shop) -> None:
    recorded(shop, PAY)
    waited(shop)
    assert shop.row("w1").state is State.NOT_SENT
    assert shop.attention() == shop.pending() == []
    assert shop.pay(PAY).order_id == "w1"


def test_what_is_asked_about_a_recorded_order_is_answered_for_what_it_is(shop: Shop) -> None:
    recorded(shop, charge("o1"))
    before = shop.row("o1")
    shop.clock.advance(RECORDED_FOR_S + 1)
    for _ in range(4):  # However often it is asked about: the look that tells a person is not used up.
        with pytest.raises(NotFound, match="recorded and was not sent yet"):
            shop.find("o1")
    with pytest.raises(BadCommand, match="recorded and was not sent yet"):
        shop.cancel(cancel("c1", "o1"))
    with pytest.raises(BadCommand, match="recorded and not sent yet"):
        shop.delete_key(DeleteKey(billing_key=KEY, reason="left"))
    assert shop.row("o1") == before
    assert shop.reconcile().attention == ["o1"]


def test_a_recorded_refund_is_not_ended_by_another_one(shop: Shop) -> None:
    shop.charge(charge("paid"))
    recorded(shop, cancel("c1", "paid"))
    with pytest.raises(InProgress, match=r"c1\).* recorded and not sent"):
        shop.cancel(cancel("c2", "paid"))
    assert shop.cancel(cancel("c1", "paid")).money == won(4_000)
    assert shop.cancel(cancel("c2", "paid")).money == won(4_000)


def test_trace_says_that_nothing_sends_it_by_itself_and_how_to_end_it(shop: Shop) -> None:
    recorded(shop, charge("o1"))
    assert "recorded and not sent yet: its command sends it" in verdict(shop.row("o1"))
    waited(shop)
    assert "paygate resolve o1 not_sent" in verdict(shop.row("o1"))


def test_who_comes_while_a_dead_worker_holds_a_row_is_told_until_when(shop: Shop) -> None:
    now = shop.clock.now()
    shop.ledger.open([Row(gateway=shop.gate._account.scope, kind=Kind.CHARGE, id="o1", order_id="o1",
                          digest=digest(charge("o1")), state=State.SENT, opened_at=now.timestamp(),
                          lease_until=now.timestamp() + 99)], Note(text="opened", at=now.timestamp(), by="killed:1"))
    with pytest.raises(InProgress, match="another worker holds o1, until 03:01:39 UTC at the latest; ask again later"):
        shop.charge(charge("o1"))
