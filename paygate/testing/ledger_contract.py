"""What every ledger must do, as tests that take any store: subclass `LedgerContract` and say how yours is opened.

    class TestMyLedger(LedgerContract):
        @pytest.fixture
        def opens(self, tmp_path):
            return lambda: MyLedger(tmp_path / "ledger")

A check is not overridden. What happens when several threads, tasks and processes come at once is in ledger_races.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve

from ..ledger import chain
from ..ledger.row import Book, Kind, Ledger, LedgerError, Row, State, Taken
from ..ledger.rules import FOLLOWS
from ..money import Money
from .ledger_races import LedgerRaces, note, opened, refund, row

OPEN = (State.OPENED, State.SENT, State.UNKNOWN)


class LedgerContract(LedgerRaces):
    """Checks of a store. `opens` is a fixture: a function that opens the store of this test, again and again the same.

    `survives`: what one ledger wrote, the next one opened finds; only a store for tests may say False.
    """

    survives = True

    @pytest.fixture
    def opens(self) -> Callable[[], Ledger]:
        """How the store is opened."""
        raise NotImplementedError("a fixture `opens` that returns a function which opens the ledger")

    @pytest.fixture
    def ledger(self, opens: Callable[[], Ledger]) -> Iterator[Ledger]:
        """The store under test."""
        made = opens()
        yield made
        made.close()

    def test_a_new_row_is_written_as_it_is_and_read_back_equal(self, ledger: Ledger) -> None:
        full = row(lease_until=2.5, sent_at=3.25, check_at=4.125, checks=2, missed_at=5.5, attention="주의",
                   provider_id="p1", due_at=6.75, before=7, key_digest="k", payer_digest="y", result='{"a":"차"}',
                   refusal="{}")
        assert ledger.open([full, row("o2", money=None)], note()) == [(full, True), (row("o2", money=None), True)]
        assert ledger.get("g", Book.PAYMENT, "o1") == full
        assert ledger.get("g", Book.PAYMENT, "o2") == row("o2", money=None)

    @pytest.mark.parametrize("kind", Kind)
    def test_a_row_of_every_kind_is_in_its_book(self, ledger: Ledger, kind: Kind) -> None:
        made = row(kind=kind)
        opened(ledger, made)
        assert ledger.get("g", kind.book, "o1") == made
        assert [book for book in Book if ledger.get("g", book, "o1") is not None] == [kind.book]

    def test_an_id_is_opened_once_and_the_second_comer_is_shown_the_row(self, ledger: Ledger) -> None:
        opened(ledger, row())
        assert ledger.open([row(digest="other", money=Money(5, "USD"))], note("again")) == [(row(), False)]
        assert ledger.open([row()], note()) == [(row(), False)]
        assert len(ledger.trail("g", "o1")) == 1

    def test_of_many_rows_each_is_new_or_known_by_itself(self, ledger: Ledger) -> None:
        opened(ledger, row("o2"))
        assert [is_new for _, is_new in ledger.open([row("o3"), row("o2"), row("o1")], note())] == [True, False, True]
        assert ledger.open([], note()) == []

    def test_the_same_id_at_another_gateway_or_in_another_book_is_another_row(self, ledger: Ledger) -> None:
        opened(ledger, row(), row(gateway="h"), refund("o1", "o9"), row(kind=Kind.STRAY, state=State.ANSWERED))
        assert ledger.get("h", Book.PAYMENT, "o1") == row(gateway="h")
        assert ledger.get("g", Book.CANCEL, "o1") == refund("o1", "o9")
        assert ledger.get("i", Book.PAYMENT, "o1") is None

    # The conditional append is the lock.

    def test_a_change_needs_the_fence_it_was_read_at_and_raises_it(self, ledger: Ledger) -> None:
        first, = opened(ledger, row())
        second = ledger.change(evolve(first, state=State.ANSWERED, checks=1), note("answered"))
        assert second == evolve(first, state=State.ANSWERED, checks=1, fence=1)
        assert ledger.change(evolve(first, state=State.UNKNOWN), note("late")) is None
        assert ledger.get("g", Book.PAYMENT, "o1") == second
        assert [(line.fence, line.state, line.note) for line in ledger.trail("g", "o1")] == [
            (0, State.SENT, "opened"), (1, State.ANSWERED, "answered")]

    def test_a_row_that_does_not_exist_is_not_changed_into_being(self, ledger: Ledger) -> None:
        assert ledger.change(row(), note("answered")) is None
        assert ledger.get("g", Book.PAYMENT, "o1") is None
        assert ledger.trail("g", "o1") == []

    def test_a_row_that_was_not_read_here_is_not_changed(self, ledger: Ledger) -> None:
        opened(ledger, row())
        assert ledger.change(row(state=State.ANSWERED), note("made up")) is None
        assert len(ledger.trail("g", "o1")) == 1

    def test_a_row_is_changed_alone(self, ledger: Ledger) -> None:
        first, *_ = opened(ledger, row(), row("o2"), row(gateway="h"), refund("o1", "o2"))
        assert ledger.change(evolve(first, state=State.ANSWERED), note("answered")) is not None
        assert ledger.get("g", Book.PAYMENT, "o2") == row("o2")
        assert ledger.get("h", Book.PAYMENT, "o1") == row(gateway="h")
        assert ledger.get("g", Book.CANCEL, "o1") == refund("o1", "o2")

    def test_what_was_told_twice_because_nobody_knew_is_written_once(self, ledger: Ledger) -> None:
        said = note()
        (first, is_new), = ledger.open([row()], said)
        assert is_new
        assert ledger.open([row()], said) == [(row(), True)]
        said, wanted = note("answered"), evolve(first, state=State.ANSWERED)
        assert ledger.change(wanted, said) == ledger.change(wanted, said) == evolve(wanted, fence=1)
        assert ledger.change(wanted, note("answered")) is None  # The same words, but another's.
        assert [line.fence for line in ledger.trail("g", "o1")] == [0, 1]

    @pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
    def test_states_only_move_forward(self, ledger: Ledger, before: State, after: State) -> None:
        held, = opened(ledger, row(state=before))
        if after in FOLLOWS[before]:
            assert ledger.change(evolve(held, state=after), note("moved")) is not None
            return
        with pytest.raises(LedgerError, match=before.value):
            ledger.change(evolve(held, state=after), note("moved"))
        assert ledger.get("g", Book.PAYMENT, "o1") == held
        assert len(ledger.trail("g", "o1")) == 1

    # Of one order, one refund at a time; of one payment at the PG, one order.

    def test_of_one_order_one_refund_is_open_at_a_time(self, ledger: Ledger) -> None:
        held: Row | None
        held, = opened(ledger, refund("c1"))
        for state in OPEN:
            assert held is not None
            if state is not State.OPENED:
                held = ledger.change(evolve(held, state=state), note("moved"))
            assert ledger.open([refund("c2")], note()) == [(held, False)]
            assert ledger.get("g", Book.CANCEL, "c2") is None
        opened(ledger, refund("c3", "o2"), refund("c4", gateway="h"))

    @pytest.mark.parametrize("state", [State.ANSWERED, State.REFUSED, State.NOT_SENT])
    def test_a_settled_refund_makes_room_for_the_next(self, ledger: Ledger, state: State) -> None:
        held, = opened(ledger, refund("c1", state=State.SENT))
        assert ledger.change(evolve(held, state=state), note("settled")) is not None
        opened(ledger, refund("c2"))

    def test_a_settled_refund_does_not_come_to_life_beside_another(self, ledger: Ledger) -> None:
        held, = opened(ledger, refund("c1"))
        settled = ledger.change(evolve(held, state=State.NOT_SENT), note("settled"))
        assert settled is not None
        opened(ledger, refund("c2"))
        assert ledger.change(evolve(settled, state=State.OPENED), note("again")) is None
        assert ledger.get("g", Book.CANCEL, "c1") == settled

    def test_a_known_refund_is_shown_even_while_another_is_open(self, ledger: Ledger) -> None:
        held, = opened(ledger, refund("c1"))
        settled = ledger.change(evolve(held, state=State.ANSWERED), note("settled"))
        opened(ledger, refund("c2"))
        assert ledger.open([refund("c1")], note("again")) == [(settled, False)]

    def test_a_payment_id_of_the_pg_belongs_to_one_order(self, ledger: Ledger) -> None:
        first, second, other, back = opened(ledger, row("o1"), row("o2"), row("o1", gateway="h"), refund("c1"))
        taken = ledger.change(evolve(first, provider_id="p1"), note("answered"))
        assert taken is not None
        with pytest.raises(Taken):
            ledger.change(evolve(second, provider_id="p1"), note("answered"))
        with pytest.raises(Taken):
            ledger.open([row("o3", provider_id="p1")], note())
        assert ledger.get("g", Book.PAYMENT, "o2") == second
        assert ledger.get("g", Book.PAYMENT, "o3") is None
        assert len(ledger.trail("g", "o2")) == 1
        assert ledger.change(evolve(taken, state=State.ANSWERED), note("again")) is not None  # Its own it keeps.
        assert ledger.change(evolve(other, provider_id="p1"), note("answered")) is not None
        assert ledger.change(evolve(back, provider_id="p1"), note("refunded")) is not None

    # Questions.

    def test_a_payment_is_found_by_the_pgs_id(self, ledger: Ledger) -> None:
        opened(ledger, row("o1", provider_id="p1"), refund("c1", provider_id="p2"))
        assert ledger.by_provider_id("g", "p1") == row("o1", provider_id="p1")
        assert ledger.by_provider_id("g", "p2") is None
        assert ledger.by_provider_id("h", "p1") is None

    def test_what_is_due_is_listed_by_when_it_is_due(self, ledger: Ledger) -> None:
        opened(ledger, row("o1", check_at=30.0), row("o2", check_at=10.0), row("o3", check_at=None),
               row("o4", check_at=20.0), row("o5", check_at=31.0), row("o6", check_at=1.0, gateway="h"),
               refund("c1", check_at=15.0))
        assert [r.id for r in ledger.due("g", 30.0, 10)] == ["o2", "c1", "o4", "o1"]
        assert [r.id for r in ledger.due("g", 30.0, 2)] == ["o2", "c1"]
        assert ledger.due("g", 0.5, 10) == []

    def test_what_is_unresolved_flagged_of_a_key_or_of_an_order_is_listed_oldest_first(self, ledger: Ledger) -> None:
        states = dict(zip(("o7", "o6", "o5", "o4", "o3", "o2", "o1"), State, strict=True))
        seen = (State.ANSWERED, State.UNKNOWN)
        opened(ledger, *[row(id, state=state, opened_at=float(id[1]), key_digest="k" if id < "o4" else None,
                             attention="look" if state in seen else None) for id, state in states.items()])
        opened(ledger, row("x", gateway="h", attention="look", key_digest="k"))
        open_ones = sorted(id for id, s in states.items() if s in OPEN)
        assert [r.id for r in ledger.unresolved("g", 10)] == open_ones
        assert [r.id for r in ledger.unresolved("g", 1)] == open_ones[:1]
        assert {r.state for r in ledger.flagged("g", 10)} == set(seen)
        assert len(ledger.flagged("g", 1)) == 1
        assert [r.id for r in ledger.of_key("g", "k")] == ["o1", "o2", "o3"]
        opened(ledger, refund("c2", opened_at=5.0, state=State.ANSWERED), refund("c1", opened_at=9.0),
               refund("c3", "o2", opened_at=1.0))
        assert [r.id for r in ledger.refunds("g", "o1")] == ["c2", "c1"]

    def test_rows_of_one_instant_come_in_one_order(self, ledger: Ledger) -> None:
        """By book, then by id, letter by letter: whoever asks twice, of two stores or two pages, meets the same."""
        same = {"opened_at": 7.0, "check_at": 8.0, "due_at": 9.0, "attention": "look", "sealed": "kept",
                "key_digest": "k"}
        ids = ["b", "B", "가", "a-1", "a", "o10", "o9"]
        payments = [row(id, state=State.SCHEDULED, **same) for id in ids]
        doubts = [row(f"{id}?", state=State.UNKNOWN, **same) for id in ids]
        refunds = [refund(f"c-{id}", f"of {id}", **same) for id in ids]
        opened(ledger, *refunds, *payments, *doubts)
        everything = sorted([*refunds, *payments, *doubts], key=lambda r: (r.book.value, r.id))
        open_ones = [r for r in everything if r.state in OPEN]
        assert ledger.due("g", 8.0, 99) == ledger.flagged("g", 99) == ledger.of_key("g", "k") == everything
        assert ledger.due("g", 8.0, 9) == ledger.flagged("g", 9) == everything[:9]
        assert ledger.unresolved("g", 99) == open_ones
        assert ledger.unresolved("g", 9) == open_ones[:9]
        planned = sorted(payments, key=lambda r: r.id)
        assert ledger.planned("g", 9.0, 99) == planned
        claimed = [row.id for row in ledger.claim("g", 9.0, 3, 99.0, note("claimed"))]
        assert claimed == [row.id for row in planned[:3]]
        opened(ledger, *[refund(f"r-{id}", "one", state=State.ANSWERED, opened_at=7.0) for id in ids])
        assert [r.id for r in ledger.refunds("g", "one")] == sorted(f"r-{id}" for id in ids)

    # The trail.

    def test_the_trail_keeps_every_line_of_an_id_in_order_with_who_and_when(self, ledger: Ledger) -> None:
        held: Row | None
        held, = opened(ledger, row())
        for n, at in enumerate([7.0, 6.0, 8.0]):  # A clock that goes back does not change the order.
            assert held is not None
            held = ledger.change(evolve(held, checks=n), note(f"look {n}", at=at, by="kim"))
        opened(ledger, row("o2"))
        lines = ledger.trail("g", "o1")
        assert [(line.fence, line.note, line.by, line.at) for line in lines] == [
            (0, "opened", "host:1", 5.0), (1, "look 0", "kim", 7.0), (2, "look 1", "kim", 6.0),
            (3, "look 2", "kim", 8.0)]

    def test_the_trail_of_an_id_tells_of_every_book(self, ledger: Ledger) -> None:
        opened(ledger, row("x"), refund("x", "o1"))
        assert {line.book for line in ledger.trail("g", "x")} == {Book.PAYMENT, Book.CANCEL}

    def test_every_line_covers_the_one_before_and_the_row_carries_the_last(self, ledger: Ledger) -> None:
        held: Row | None
        held, = opened(ledger, row())
        for n in range(3):
            assert held is not None
            held = ledger.change(evolve(held, checks=n), note(f"look {n}"))
        lines, previous = ledger.trail("g", "o1"), ""
        for line in lines:
            assert chain.link(previous, line) == line.hash
            previous = line.hash
        stored = ledger.get("g", Book.PAYMENT, "o1")
        assert stored is not None
        assert (stored.hash, chain.content(stored)) == (previous, lines[-1].content)

    # Text.

    @pytest.mark.parametrize("id", ["'; DROP TABLE paygate_row; --", "%", "%s", "?", "주문", "\n", "x" * 2000])
    def test_any_text_is_only_ever_text(self, ledger: Ledger, id: str) -> None:
        opened(ledger, row(id, provider_id=id, attention=id), row("other"))
        assert ledger.get("g", Book.PAYMENT, id) == row(id, provider_id=id, attention=id)
        assert {r.id for r in ledger.unresolved("g", 10)} == {id, "other"}

    @pytest.mark.parametrize("text", ["\ud800", "a\x00b"], ids=["half a character", "a NUL"])
    def test_text_that_cannot_be_written_is_an_error_of_the_ledger_or_written(self, ledger: Ledger, text: str) -> None:
        before, = opened(ledger, row("before"))
        for do in (lambda: ledger.open([row(text)], note()), lambda: ledger.get("g", Book.PAYMENT, text),
                   lambda: ledger.change(evolve(before, result=text), note())):
            _may_fail(do)
        opened(ledger, row("after"))  # And it goes on working.

    def test_what_was_written_is_found_by_whoever_opens_it_next(self, opens: Callable[[], Ledger]) -> None:
        if not self.survives:
            pytest.skip("this store says that it survives nothing")
        ledger = opens()
        held, = opened(ledger, row())
        changed = ledger.change(evolve(held, state=State.UNKNOWN, attention="look"), note("doubt"))
        ledger.close()
        with pytest.raises(LedgerError):
            ledger.get("g", Book.PAYMENT, "o1")
        again = opens()
        assert again.get("g", Book.PAYMENT, "o1") == changed
        assert [line.note for line in again.trail("g", "o1")] == ["opened", "doubt"]
        assert again.flagged("g", 5) == [changed]
        again.close()

    def test_two_opened_at_once_are_one(self, opens: Callable[[], Ledger]) -> None:
        if not self.survives:
            pytest.skip("this store says that it survives nothing")
        one, other = opens(), opens()
        held, = opened(one, row())
        assert other.open([row()], note()) == [(held, False)]
        assert other.change(evolve(held, state=State.ANSWERED), note("answered")) is not None
        assert one.change(evolve(held, state=State.UNKNOWN), note("late")) is None
        one.close()
        assert len(other.trail("g", "o1")) == 2
        other.close()


def _may_fail(do: Callable[[], Any]) -> None:
    try:
        do()
    except LedgerError:
        pass
