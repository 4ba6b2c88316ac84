"""The checker's rules, each by the shortest history that breaks it and the one that just does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paygate.testing.simulation import checker, notes, remembered, terms
from paygate.testing.simulation.checker import judge
from paygate.testing.simulation.notes import Rules

Event = dict[str, Any]
CLOCK = {"at": 0.0}


def asked(call: int = 1, verb: str = "charge", order: str = "o1", amount: int = 100, *, intent: str | None = None,
          cart: str | None = None, **more: Any) -> Event:
    return {"what": "asked", "call": call, "verb": verb, "order": order, "intent": intent or order, "amount": amount,
            "cart": cart, "currency": "KRW", "key": "k1", "due": None, **CLOCK, **more}


def told(said: str, call: int = 1, amount: int | None = None) -> Event:
    return {"what": "told", "call": call, "said": said, "amount": amount, **CLOCK}


def sent(order: str = "o1", *, at: float = 0.0, fate: str = "maybe", kind: str = "charge", intent: str | None = None,
         guarded: bool = False, **terms: Any) -> Event:
    """A request; one that states no terms is not compared."""
    return {"what": "request", "kind": kind, "orders": (order,), "intents": (intent or order,), "terms": [terms],
            "guarded": guarded, "fate": fate, "call": 1, "at": at}


def look(shown: str, at: float, order: str = "o1", back: int = 0) -> Event:
    return {"what": "look", "orders": (order,), "shown": shown, "back": back, "at": at}


def moved(order: str = "o1", amount: int = 100, *, kind: str = "charge", intent: str | None = None,
          call: int | None = None, **more: Any) -> Event:
    return {"what": "moved", "kind": kind, "order": order, "intent": intent or order, "amount": amount, "call": call,
            **CLOCK, **more}


def row(state: str = "answered", id: str = "o1", *, amount: int = 100, paid: bool | None = None,
        attention: str | None = None, book: str = "payment", order: str | None = None) -> Event:
    paid = state == "answered" and book == "payment" if paid is None else paid
    return {"what": "row", "book": book, "id": id, "order": order or id, "state": state, "amount": amount,
            "paid": paid, "attention": attention, **CLOCK}


PAID = [asked(), sent(), moved(), told("paid", amount=100)]
ABSENT_TWICE = [look("absent", 5.0), look("absent", 121.0)]
BACK = [asked(2, "refund", amount=40, intent="c1"), sent(kind="refund", intent="c1"),
        moved(kind="refund", amount=40, intent="c1", call=2)]

DATED = asked(verb="schedule", due=500.0)

CLEAN: dict[str, list[Event]] = {
    "a charge": [*PAID, row()],
    "a decline": [asked(), sent(), told("no"), row("refused")],
    "sent again after a complete 401": [asked(), sent(fate="unprocessed"), sent(), moved(), told("paid", amount=100),
                                        row()],
    "sent again after proven absence": [asked(), sent(), *ABSENT_TWICE, sent(at=130.0), moved(),
                                        told("paid", amount=100), row()],
    "a doubt that a person is told of": [asked(), sent(), told("unknown"), row("unknown", attention="?")],
    "a late approval that a person is told of": [asked(), sent(), told("no"), moved(), row(attention="late")],
    "a no that is repeated before the late approval is seen": [
        asked(), sent(), told("no"), moved(), asked(2), told("no", 2), row(attention="late")],
    "a refund": [*PAID, *BACK, told("done", 2, 40), row(),
                 row(id="c1", book="cancel", order="o1", amount=40)],
    "a guarded refund sent again after a look": [
        *PAID, asked(2, "refund", amount=40, intent="c1"), sent(kind="refund", intent="c1", guarded=True),
        look("record", 1.0), sent(kind="refund", intent="c1", guarded=True), BACK[2], told("done", 2, 40), row(),
        row(id="c1", book="cancel", order="o1", amount=40)],
    "a new order id after a decline": [
        asked(cart="k"), sent(), told("no"), asked(2, order="o2", cart="k"), sent("o2"), moved("o2"),
        told("paid", 2, 100), row("refused"), row(id="o2")],
    "a call that only failed itself": [*PAID, asked(2, "conflict", amount=101), told("bad", 2), row()],
    "a dated charge": [DATED, sent(kind="schedule", amount=100, currency="KRW", key="k1", due=499.6),
                       moved(since=500.0, currency="KRW"), row()],
    "a dated charge that is stopped": [DATED, sent(kind="schedule"), asked(2, "unschedule"), sent(kind="unschedule"),
                                       row("not_sent")],
    "a refund of all that is left": [
        *PAID, *BACK, asked(3, "refund", amount=None, intent="c2"),  # type: ignore[arg-type]
        look("record", 1.0, back=40), sent(kind="refund", intent="c2", amount=60),
        moved(kind="refund", amount=60, intent="c2", call=3), told("done", 3, 60), row(),
        row(id="c1", book="cancel", order="o1", amount=40), row(id="c2", book="cancel", order="o1", amount=60)],
    "a refund made at the PG's console": [*PAID, moved(kind="refund", amount=10, intent="beside"), row()],
}

BROKEN: dict[str, tuple[str, list[Event]]] = {
    "charged twice": ("double", [*PAID, moved(), row()]),
    "one cart paid under two orders": ("double", [
        asked(cart="k"), sent(), told("no"), asked(2, order="o2", cart="k"), sent("o2"), moved("o2"), moved(),
        told("paid", 2, 100), row(paid=True), row(id="o2")]),
    "a refund given twice": ("double", [*PAID, *BACK, BACK[-1], told("done", 2, 80), row(),
                                        row(id="c1", book="cancel", order="o1", amount=80)]),
    "taken and not in the ledger": ("lost", [asked(), sent(), moved()]),
    "taken and called refused": ("lost", [asked(), sent(), moved(), row("refused")]),
    "given back and not in the ledger's refund": ("lost", [
        *PAID, *BACK, row(), row("not_sent", "c1", book="cancel", order="o1", amount=40)]),
    "in the ledger and not taken": ("phantom", [asked(), sent(), told("unknown"), row()]),
    "a refund in the ledger alone": ("phantom", [
        *PAID, asked(2, "refund", amount=40, intent="c1"), sent(kind="refund", intent="c1"), row(),
        row(id="c1", book="cancel", order="o1", amount=40)]),
    "taken unasked": ("phantom", [moved("o9"), row(id="o9")]),
    "open, and nobody is told": ("stuck", [asked(), sent(), row("unknown")]),
    "a refund open, and nobody is told": ("stuck", [
        *PAID, BACK[0], BACK[1], row(), row("sent", "c1", book="cancel", order="o1", amount=40)]),
    "taken, and could be asked": ("stuck", [asked(), sent(), moved(), row("unknown", attention="?")]),
    "sent again at once": ("unsafe resend", [asked(), sent(), sent(at=1.0), row("refused")]),
    "sent again after one miss": ("unsafe resend", [asked(), sent(), look("absent", 125.0), sent(at=126.0),
                                                    row("refused")]),
    "sent again before the settle window": ("unsafe resend", [
        asked(), sent(), look("absent", 5.0), look("absent", 60.0), sent(at=61.0), row("refused")]),
    "sent again after misses that lie close": ("unsafe resend", [
        asked(), sent(), look("absent", 119.0), look("absent", 121.0), sent(at=122.0), row("refused")]),
    "sent again though a record was shown": ("unsafe resend", [
        asked(), sent(), *ABSENT_TWICE, look("record", 125.0), sent(at=130.0), row("refused")]),
    "another order id while in doubt": ("unsafe resend", [
        asked(cart="k"), sent(), told("unknown"), asked(2, order="o2", cart="k"), row("refused")]),
    "a refund of what may not have been taken": ("unsafe resend", [
        asked(), sent(), told("unknown"), asked(2, "refund", amount=40, intent="c1"), sent(kind="refund", intent="c1"),
        row("refused")]),
    "a refund sent again without a look": ("unsafe resend", [
        *PAID, BACK[0], sent(kind="refund", intent="c1", guarded=True), sent(kind="refund", intent="c1", guarded=True),
        row(), row("unknown", "c1", book="cancel", order="o1", amount=40, attention="?")]),
    "an unguarded refund sent again after one look": ("unsafe resend", [
        *PAID, BACK[0], BACK[1], look("record", 125.0), BACK[1], row(),
        row("unknown", "c1", book="cancel", order="o1", amount=40, attention="?")]),
    "a second refund while the first is in doubt": ("unsafe resend", [
        *PAID, BACK[0], BACK[1], asked(3, "refund", amount=10, intent="c2"), sent(kind="refund", intent="c2"), row(),
        row("unknown", "c1", book="cancel", order="o1", amount=40, attention="?")]),
    "an unschedule that names nothing": ("unsafe resend", [
        {"what": "request", "kind": "unschedule", "orders": (), "intents": (), "fate": "maybe", "call": 1, **CLOCK}]),
    "more given back than taken": ("over-refund", [
        *PAID, asked(2, "refund", amount=140, intent="c1"), moved(kind="refund", amount=140, intent="c1"),
        row(attention="?")]),
    "told no, though it was taken": ("false decline", [asked(), sent(), moved(), told("no"), row()]),
    "told no, and taken later unseen": ("false decline", [asked(), sent(), told("no"), moved(), row()]),
    "told that the call did nothing": ("false decline", [asked(), sent(), moved(call=1), told("bad"), row()]),
    "told paid, though nothing was taken": ("false success", [asked(), sent(), told("paid", amount=100),
                                                              row("refused")]),
    "told another amount": ("false success", [asked(), sent(), moved(), told("paid", amount=99), row()]),
    "told given back, though it was not": ("false success", [*PAID, BACK[0], told("done", 2, 40), row()]),
    "another amount taken": ("wrong amount", [asked(), sent(), moved(amount=101), row(amount=101)]),
    "another amount asked of the PG": ("wrong amount", [asked(), sent(amount=101), row("refused")]),
    "another currency asked of the PG": ("wrong currency", [asked(), sent(currency="USD"), row("refused")]),
    "another currency taken": ("wrong currency", [asked(), sent(), moved(currency="USD"), row()]),
    "another payer's key charged": ("wrong key", [asked(), sent(key="k2"), moved(), row()]),
    "charged though nobody commanded it": ("phantom", [sent("o9"), row("refused", "o9")]),
    "a date that was not commanded": ("wrong date", [DATED, sent(kind="schedule", due=440.0), row("refused")]),
    "a date where there was none": ("wrong date", [asked(), sent(due=440.0), row("refused")]),
    "taken before its date": ("wrong date", [DATED, sent(kind="schedule", due=500.0), moved(since=440.0), row()]),
    "another amount on a date": ("wrong amount", [DATED, sent(kind="schedule", amount=99), row("refused")]),
    "a refund of another amount asked of the PG": ("wrong amount", [
        *PAID, BACK[0], sent(kind="refund", intent="c1", amount=80), row(), row("not_sent", "c1", book="cancel")]),
    "a refund of another amount given": ("wrong amount", [
        *PAID, BACK[0], BACK[1], moved(kind="refund", amount=80, intent="c1", call=2), told("done", 2, 80), row(),
        row(id="c1", book="cancel", order="o1", amount=80)]),
    "told of another refund than was asked": ("false success", [
        *PAID, BACK[0], BACK[1], moved(kind="refund", amount=80, intent="c1", call=2), told("done", 2, 80), row(),
        row(id="c1", book="cancel", order="o1", amount=80)]),
    "a refund of all that was less": ("wrong amount", [
        *PAID, asked(2, "refund", amount=None, intent="c1"), sent(kind="refund", intent="c1"),  # type: ignore[arg-type]
        moved(kind="refund", amount=40, intent="c1", call=2), row(),
        row(id="c1", book="cancel", order="o1", amount=40)]),
    "a refund of another order": ("wrong order", [
        *PAID, asked(3, order="o2"), BACK[0], sent("o2", kind="refund", intent="c1"), row(), row("refused", "o2")]),
    "a date stopped that nobody stops": ("wrong order", [DATED, sent(kind="unschedule"), row("refused")]),
    "sent and never written down": ("unannounced", [asked(), sent()]),
    "books that differ": ("books", [*PAID, *BACK, told("done", 2, 40), row(),
                                    row(id="c1", book="cancel", order="o1", amount=30)]),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_history_that_breaks_no_rule_is_clean(name: str) -> None:
    assert judge(CLEAN[name]) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found(name: str) -> None:
    kind, history = BROKEN[name]
    assert kind in {violation.kind for violation in judge(history)}


def test_a_pg_that_proves_no_absence_is_never_sent_anything_again() -> None:
    history = [asked(), sent(), *ABSENT_TWICE, sent(at=130.0), row("refused")]
    assert judge(history, Rules(askable=True)) == []
    assert [v.kind for v in judge(history, Rules(askable=False))] == ["unsafe resend"]


def test_what_was_taken_may_stay_with_a_person_where_the_pg_cannot_be_asked() -> None:
    assert judge([asked(), sent(), moved(), row("unknown", attention="?")], Rules(askable=False)) == []


def test_a_violation_says_at_which_event_it_showed() -> None:
    found, = judge([*PAID, moved(), row(attention="?")])[:1]
    assert str(found) == "double: o1: charged 2 times: [100, 100] (event 4)"


@pytest.mark.checkout
def test_the_checker_imports_nothing_of_the_product() -> None:
    whole = (checker, notes, remembered, terms)
    assert {name for part in whole for name in _imported(Path(part.__file__))} == {
        "__future__", "collections.abc", "dataclasses", "typing", ".notes", ".remembered", ".terms"}


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
