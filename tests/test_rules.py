"""The ledger's rules as tables: what a repeated command means, what follows what, when to look, what absence proves."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import BillingKey, Charge, Customer, Money, Secret
from paygate.ledger.row import Book, Kind, Row, State
from paygate.ledger.rules import (
    FOLLOWS,
    UNRESOLVED,
    Verdict,
    digest,
    is_absence_proven,
    key_digest,
    next_check,
    verdict,
)
from paygate.procedures.steps import change

NOW = 1_000_000.0


def row(state: State, *, lease: float | None = None, **said: object) -> Row:
    return Row(**{"gateway": "g", "kind": Kind.CHARGE, "id": "o1", "order_id": "o1", "digest": "d", "state": state,
                  # type: ignore[arg-type]
                  "opened_at": NOW, "lease_until": lease, **said})


@pytest.mark.parametrize(("state", "leased", "free"), [
    (State.SCHEDULED, Verdict.SEND, Verdict.SEND),
    (State.OPENED, Verdict.IN_PROGRESS, Verdict.SEND),
    (State.SENT, Verdict.IN_PROGRESS, Verdict.LOOK),
    (State.UNKNOWN, Verdict.LOOK, Verdict.LOOK),
    (State.ANSWERED, Verdict.RETURN, Verdict.RETURN),
    (State.REFUSED, Verdict.RAISE, Verdict.RAISE),
    (State.NOT_SENT, Verdict.SEND, Verdict.SEND),
])
def test_what_a_repeated_command_means(state: State, leased: Verdict, free: Verdict) -> None:
    assert verdict(row(state, lease=NOW + 1), "d", NOW) is leased
    assert verdict(row(state, lease=NOW), "d", NOW) is free  # A lease that ends now is over.
    assert verdict(row(state, lease=NOW - 1), "d", NOW) is free
    assert verdict(row(state), "d", NOW) is free


@given(st.sampled_from(State), st.none() | st.floats(NOW - 10, NOW + 10))
@settings(max_examples=60, derandomize=True)
def test_other_parameters_are_a_conflict_whatever_the_state(state: State, lease: float | None) -> None:
    assert verdict(row(state, lease=lease), "another", NOW) is Verdict.CONFLICT


def test_what_may_have_been_sent_is_never_sent_again_by_a_repeated_command() -> None:
    for state, lease in itertools.product((State.SENT, State.UNKNOWN, State.ANSWERED, State.REFUSED),
                                          (None, NOW - 1, NOW + 1)):
        assert verdict(row(state, lease=lease), "d", NOW) is not Verdict.SEND


def test_states_only_move_forward() -> None:
    backwards = {(State.ANSWERED, s) for s in State if s is not State.ANSWERED}
    # What waits for its time may be given another time, and what was proven not sent waits for its next one.
    backwards |= {(s, State.SCHEDULED) for s in State if s not in (State.SCHEDULED, State.NOT_SENT)}
    backwards |= {(State.UNKNOWN, State.SENT), (State.REFUSED, State.NOT_SENT)}
    backwards |= {(State.SENT, State.OPENED), (State.REFUSED, State.SENT), (State.REFUSED, State.OPENED)}
    backwards |= {(State.NOT_SENT, State.REFUSED), (State.NOT_SENT, State.UNKNOWN), (State.REFUSED, State.UNKNOWN)}
    assert not [(a, b) for a, b in backwards if b in FOLLOWS[a]]
    assert set(FOLLOWS) == set(State)


def test_truth_may_come_late_to_every_negative_end() -> None:
    for state in (State.REFUSED, State.NOT_SENT, State.UNKNOWN, State.SENT):
        assert State.ANSWERED in FOLLOWS[state]


def test_no_step_moves_a_row_backwards() -> None:
    for a, b in itertools.product(State, State):
        steps = change(row(a), "note", state=b)
        if b in FOLLOWS[a]:
            next(steps)
            steps.close()
        else:
            with pytest.raises(AssertionError):
                next(steps)


def test_what_is_open_sent_or_unknown_is_unresolved() -> None:
    assert set(UNRESOLVED) == {State.OPENED, State.SENT, State.UNKNOWN}


def test_the_timetable_is_five_seconds_to_an_hour_and_then_a_week_of_days() -> None:
    at, seen = 0.0, []
    for checks in itertools.count():
        following = next_check(checks, at, 120.0)
        if following is None:
            break
        seen.append(round(following, 6))
        at = following
    day = 86_400.0
    assert seen == [5, 30, 120, 600, 3600, *[3600 + day * n for n in range(1, 8)]]


@given(st.integers(0, 30), st.floats(0, 1e10), st.floats(0.1, 1e4))
@settings(max_examples=100, derandomize=True)
def test_the_next_look_always_lies_ahead(checks: int, now: float, settle_s: float) -> None:
    following = next_check(checks, now, settle_s)
    assert following is None or following > now


@pytest.mark.parametrize(("sent", "missed", "proven"), [
    (-120, -30, True), (-1000, -900, True),
    (-119, -30, False),  # The PG may still be working.
    (-120, -29, False),  # Two looks in one moment are one look.
    (-120, None, False), (None, -30, False), (None, None, False), (+10, -30, False),
])
def test_absence_is_proven_by_two_misses_after_the_settle_window(sent: float | None, missed: float | None,
                                                                 proven: bool) -> None:
    made = row(State.UNKNOWN, sent_at=None if sent is None else NOW + sent, missed_at=None if missed is None else NOW
               + missed)
    assert is_absence_proven(made, NOW, 120.0) is proven


def said(**changes: object) -> Charge:
    return Charge(**{"order_id": "o1", "billing_key": BillingKey("g", "canary"), "money": Money(100, "KRW"),
                     "title": "Tea",  # type: ignore[arg-type]
                     "customer": Customer(name="Kim"), "extra": {"a": {"x": 1, "y": [True, None]}}, **changes})


@pytest.mark.parametrize("changes", [
    {"order_id": "o2"}, {"billing_key": BillingKey("g", "other")}, {"billing_key": BillingKey("h", "canary")},
    {"money": Money(101, "KRW")}, {"money": Money(100, "USD")}, {"title": "tea"}, {"customer": Customer(name="Lee")},
    {"customer": Customer()}, {"tax_free": Money(1, "KRW")}, {"extra": {}}, {"extra": {"a": {"x": 1, "y": [True, 0]}}},
    {"extra": {"a": {"x": "1", "y": [True, None]}}},
])
def test_any_difference_in_a_command_shows_in_its_digest(changes: dict[str, object]) -> None:
    assert digest(said(**changes)) != digest(said())


def test_the_same_command_has_the_same_digest_however_it_was_spelled() -> None:
    assert digest(said(extra={"a": {"y": (True, None), "x": 1}})) == digest(said())
    from paygate import DatedCharge
    utc = datetime(2026, 2, 1, 0, 0, tzinfo=UTC)
    seoul = utc.astimezone(timezone(timedelta(hours=9)))
    one, other = (DatedCharge(order_id="o", due_at=at, money=Money(1, "KRW"), title="t") for at in (utc, seoul))
    assert digest(one) == digest(other)


def test_a_digest_gives_nothing_away() -> None:
    assert "canary" not in digest(said()) + key_digest(Secret("canary"))
    assert len(digest(said())) == len(key_digest(Secret("a"))) == 64


def test_refunds_and_strays_have_books_of_their_own() -> None:
    assert {kind: kind.book for kind in Kind if kind.book is not Book.PAYMENT} == {
        Kind.CANCEL: Book.CANCEL, Kind.STRAY: Book.STRAY, Kind.RENEWAL: Book.STRAY, Kind.EVENT: Book.EVENT,
        Kind.WINDOW: Book.EVENT, Kind.PLAN: Book.PLAN}
