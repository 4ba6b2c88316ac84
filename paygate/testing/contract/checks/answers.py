"""What a provider makes of an answer: fields missing, null, of another kind, unknown, twice, added, echoed wrongly.

Played from tapes: the same conversation with one thing changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from attrs import evolve

from ....capability import Capability
from ....errors import Declined, OutcomeUnknown, PaygateError, RateLimited, Refused, SetupError, Unauthorized
from ....model import Payment, PaymentStatus, ScheduledCharge
from ....wire import Response
from ..bench import Bench
from ..registry import SYNC, check
from ..tales import BY_NAME, here, listened
from ..tape import (
    GONE,
    Place,
    Tape,
    facts,
    is_number_of,
    one_more,
    parsed,
    places,
    put,
    rewritten,
    with_json,
)
from ..told import Told, expect

C = Capability
UNKNOWN = "zz-kanari-unknown"
ASKS = ("charge", "refund", "renewal", "dated_charge")
LOOKS = tuple(name for name, tale in BY_NAME.items() if not tale.asks)
PAYMENTS = tuple(n for n in BY_NAME if n not in ("dated_charge", "find_schedule", "lookup_key", "subscription"))


def _status(told: Told) -> Any:
    if isinstance(told.error, Declined):
        return PaymentStatus.FAILED
    value = told.value[0] if isinstance(told.value, tuple) and told.value else told.value
    return getattr(value, "status", None)


def _took(told: Told) -> bool:
    status = _status(told)
    return isinstance(status, PaymentStatus) and status.took_money


MOST_PLAYS = 1_500
"""About so many plays of one tape: of very long answers, each field gets fewer replacements."""

Variant = tuple[str, Any, Any, Told]


def _variants(bench: Bench, case: str) -> tuple[Tape, list[Variant]]:
    """A tale's tape, and every place of every answer with each replacement: (what, old, new, told)."""
    kept = bench.subject.kept
    if f"variants of {case}" not in kept:
        tape = listened(bench, case)
        kept[f"variants of {case}"] = tape, list(_played(tape))
    found: tuple[Tape, list[Variant]] = kept[f"variants of {case}"]
    return found


def _played(tape: Tape) -> Iterator[Variant]:
    wholes = [parsed(answer) for answer in tape.answers]
    share = MOST_PLAYS // max(1, len(wholes))
    for number, (answer, whole) in enumerate(zip(tape.answers, wholes, strict=True)):
        if not isinstance(whole, (dict, list)):
            continue
        # What decides about money stands near the top.
        found = sorted(places(whole), key=lambda place: len(place[0]))[:share // 2]
        for at, old in found:
            for new in _replacements(at, old)[:max(2, share // len(found))]:
                told = tape.changed(number, with_json(answer, put(whole, at, new)))
                where = "/".join(map(str, at)) or "the whole body"
                shown = "left out" if new is GONE else f"{json.dumps(new)} instead of {str(old)[:60]}"
                yield f"answer {number + 1} with {where} {shown}", old, new, told


def _replacements(at: Place, old: Any) -> list[Any]:
    """The telling ones first."""
    first = [UNKNOWN, None, *([GONE] if at else [])]
    if isinstance(old, (dict, list)):
        return [*first, 7]
    flipped = [not old] if isinstance(old, bool) else []
    return [*first, *flipped, [], 7_777_777, -1, {"value": old if isinstance(old, str) else 1}, True]


@check(cases=here(), faces=SYNC)
def no_answer_makes_a_flow_raise_anything_but_an_error_of_paygate(bench: Bench, case: str) -> None:
    """An answer that lacks something is not understood; that is no crash, and no setup error."""
    _, variants = _variants(bench, case)
    for what, _, _, told in variants:
        expect(told.error is None or isinstance(told.error, PaygateError), f"{what}: the flow {told}")
        expect(not (told.asked and isinstance(told.error, SetupError)),
               f"{what}: the flow {told}, as if nothing had been sent")


@check(cases=here(), faces=SYNC)
def an_unknown_word_is_never_guessed(bench: Bench, case: str) -> None:
    """A status that nobody has published is neither paid nor failed, and in a look-up not pending either."""
    tape, variants = _variants(bench, case)
    before = _status(tape.told)
    for what, _, new, told in variants:
        if new != UNKNOWN or told.error is not None or _status(told) == before:
            continue
        pending = _status(told) is PaymentStatus.PENDING and BY_NAME[case].asks
        expect(pending, f"{what}: the flow {told}; without it, it {tape.told}")


@check(cases=here(*PAYMENTS), faces=SYNC)
def no_changed_field_makes_money_appear(bench: Bench, case: str) -> None:
    """What was not paid is not paid because something is missing."""
    tape, variants = _variants(bench, case)
    for what, _, _, told in variants:
        expect(_took(tape.told) or not _took(told), f"{what}: the flow {told}; the PG's own answer: it {tape.told}")


@check(cases=here(*PAYMENTS), faces=SYNC)
def no_changed_field_makes_money_vanish(bench: Bench, case: str) -> None:
    """What was paid is not failed, nor refused, because something is missing or not understood."""
    tape, variants = _variants(bench, case)
    for what, old, new, told in variants:
        if not _took(tape.told):
            continue
        said_no = type(old) in (int, bool) and type(new) in (int, bool)  # A result code or flag of another value.
        expect(_status(told) is not PaymentStatus.FAILED, f"{what}: the flow {told}")
        expect(said_no or not told.asked or not isinstance(told.error, Refused), f"{what}: the flow {told}")


@check(cases=here(*LOOKS), faces=SYNC)
def a_record_that_is_not_understood_is_not_taken_for_absence(bench: Bench, case: str) -> None:
    """'Nothing there' lets an order be sent again: it is said only where the PG says so."""
    tape, variants = _variants(bench, case)
    if tape.told.value in (None, ()):
        return
    for what, old, new, told in variants:
        emptied = new == [] or (new is GONE and isinstance(old, (dict, list))) or isinstance(old, list)
        another = type(old) is type(new) and (isinstance(old, int) or str(old) in str(facts(tape.told.value)))
        expect(emptied or another or told.error is not None or told.value not in (None, ()),
               f"{what}: the flow {told}, as if there were nothing")


_MACHINES = tuple(
    Response(status, {"content-type": kind}, body)
    for status in (200, 202, 204, 301, 307, 400, 403, 404, 405, 408, 409, 410, 418, 422, 425, 451, 500, 502, 503, 504)
    for kind, body in (("text/html", b"<html><body>busy</body></html>"), ("text/plain", b"not found"), ("", b"")))
_BODIES = tuple(Response(200, {"content-type": "application/json"}, body) for body in (
    b"null", b"[]", b"{}", b'"paid"', b"true", b"0", b"[[]]", b"[null]", b"", b"{", b"\xff\xfe", b'{"a":1,"a":2}',
    b"NaN", b"[" * 5_000, b'{"amount":' + b"9" * 4_000 + b"}"))


@check(cases=here(*LOOKS), faces=SYNC)
def what_some_machine_in_between_answers_is_neither_a_record_nor_its_absence(bench: Bench, case: str) -> None:
    """A page of a proxy or of maintenance, whatever its status, says nothing about an order."""
    tape = listened(bench, case)
    for number in range(len(tape.answers)):
        for answer in _MACHINES:
            told = tape.changed(number, answer)
            expect(isinstance(told.error, OutcomeUnknown),
                   f"answer {number + 1} was status {answer.status} without JSON, and the flow {told}")


@check(cases=here(*LOOKS), faces=SYNC)
def json_that_holds_nothing_is_no_record(bench: Bench, case: str) -> None:
    """null, an empty list or half a document in place of a record is not understood."""
    tape = listened(bench, case)
    for number in range(len(tape.answers)):
        for answer in _BODIES:
            told = tape.changed(number, answer)
            empty = answer.body in (b"[]",) and told.value == ()
            expect(empty or isinstance(told.error, OutcomeUnknown),
                   f"answer {number + 1} was {answer.body[:20]!r}, and the flow {told}")


@check(cases=here(), faces=SYNC)
def fields_that_nobody_knows_yet_change_nothing(bench: Bench, case: str) -> None:
    """PGs add fields without asking."""
    tape = listened(bench, case)
    made = [a if parsed(a) is None else with_json(a, _grown(parsed(a))) for a in tape.answers]
    told = tape.play(made)
    same = type(told.error) is type(tape.told.error) and facts(told.value) == facts(tape.told.value)
    expect(same, f"with fields added to every object the flow {told}; without them it {tape.told}")


def _grown(value: Any) -> Any:
    if isinstance(value, dict):
        return {"zzNew": {"a": [1]}, **{k: _grown(v) for k, v in value.items()}, "zz_newer": None}
    return [_grown(v) for v in value] if isinstance(value, list) else value


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid"), faces=SYNC)
def an_answer_that_names_a_field_twice_is_not_believed(bench: Bench, case: str) -> None:
    """Two values under one name: whoever reads the first and whoever reads the last disagree about money."""
    tape = listened(bench, case)
    for number, answer in enumerate(tape.answers):
        for at, old in places(parsed(answer)):
            if isinstance(old, dict) and old:
                name = next(iter(old))
                text = with_json(answer, put(parsed(answer), at, {"zz-twice": old[name], **old})).body
                told = tape.changed(number, evolve(answer, body=text.replace(b'"zz-twice"', json.dumps(name).encode())))
                expect(told.error is not None or _status(told) is PaymentStatus.PENDING,
                       f"answer {number + 1} names {name} twice, and the flow {told}")


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid"), faces=SYNC)
def an_amount_that_is_no_amount_is_not_believed(bench: Bench, case: str) -> None:
    """NaN, infinity, half a won, less than nothing, true, text that is no number."""
    tape = listened(bench, case)
    money = _money(tape)
    if money is None or not any(is_number_of(money)(v) for a in tape.answers for _, v in places(parsed(a))):
        return
    for token in ("NaN", "Infinity", "-Infinity", "1e400", f"{money}.5", f"-{money}", "true", '""', '"zz"', "null",
                  "[]", f"{money}0000000000000000000"):
        made = [_raw(a, money, token) for a in tape.answers]
        told = tape.play(made)
        expect(not (_took(told) or isinstance(_one(told), ScheduledCharge)) or _money_of(told) != money,
               f"every amount {money} was written {token}, and the flow {told}")


def _raw(answer: Response, money: int, token: str) -> Response:
    made = rewritten(answer, is_number_of(money), lambda _: "zz-token")
    return evolve(made, body=made.body.replace(b'"zz-token"', token.encode()))


def _one(told: Told) -> Any:
    return told.value[0] if isinstance(told.value, tuple) and told.value else told.value


def _money_of(told: Told) -> int | None:
    money = getattr(_one(told), "money", None)
    return None if money is None else money.amount


def _money(tape: Tape) -> int | None:
    return _money_of(tape.told)


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid", "find_schedule", "subscription"), faces=SYNC)
def the_amount_told_is_the_pgs_and_not_what_was_asked_for(bench: Bench, case: str) -> None:
    """A provider that repeats the command instead of the answer hides every wrong amount from the core."""
    tape = listened(bench, case)
    money = _money(tape)
    expect(money is not None, f"the flow {tape.told}, and that names no amount")
    told, _ = tape.where(is_number_of(money or 0), one_more)
    if told.error is None and _status(told) is not PaymentStatus.PENDING:
        expect(_money_of(told) != money, f"every answer said {(money or 0) + 1}, and the flow still {told}")


@check(cases=here("refund", "find_of_partly_back", "lookup_of_partly_back"), faces=SYNC)
def what_was_given_back_is_told_as_the_pg_has_it(bench: Bench, case: str) -> None:
    """A refund that is told as asked for, whatever the PG answers, is a refund nobody saw."""
    tape = listened(bench, case)
    payment = tape.told.value[0] if isinstance(tape.told.value, tuple) else tape.told.value
    back = payment.cancelled.amount
    told, _ = tape.where(is_number_of(back), one_more)
    now = _one(told)
    if told.error is None and isinstance(now, Payment):
        expect(now.cancelled.amount != back, f"every answer said that {back + 1} were given back, and the flow {told}")


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid"), faces=SYNC)
def a_currency_that_the_pg_states_is_compared(bench: Bench, case: str) -> None:
    """14,000 dollars are not 14,000 won."""
    tape = listened(bench, case)
    ours = bench.currency
    told, there = tape.where(lambda v: v == ours, lambda _: "EUR" if ours != "EUR" else "USD")
    if there and told.error is None and _status(told) is not PaymentStatus.PENDING:
        money = getattr(_one(told), "money", None)
        expect(money is None or money.currency != ours, f"every answer said another currency, and the flow {told}")


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid", "find_schedule"), faces=SYNC)
def the_order_told_is_the_pgs_and_not_what_was_asked_for(bench: Bench, case: str) -> None:
    """The answer to another order's charge must show as one."""
    tape = listened(bench, case)
    order_id = _one(tape.told).order_id
    told, there = tape.where(lambda v: v == order_id, lambda _: "kit-another")
    if there and told.error is None and _status(told) is not PaymentStatus.PENDING:
        expect(getattr(_one(told), "order_id", None) != order_id,
               f"every answer named another order than {order_id}, and the flow {told}")


@check(cases=here("charge", "refund", "renewal", "find_of_paid", "lookup_of_paid"), faces=SYNC)
def the_payments_id_is_the_pgs_own(bench: Bench, case: str) -> None:
    """An id that is made up, or copied from the order, leads nowhere when the payment is looked up or given back."""
    tape = listened(bench, case)
    payment = _one(tape.told)
    mine = payment.provider_id
    expect(isinstance(mine, str) and mine, f"the flow {tape.told}, which names no payment of the PG")
    shown = any(str(v) == mine for a in tape.answers for _, v in places(parsed(a)) if not isinstance(v, (dict, list)))
    asked = case.startswith("lookup") or case == "refund"  # A look-up by the PG's id may answer without it.
    expect(shown or asked, f"the payment is told as {mine}, and no answer of the PG holds that")
    told, there = tape.where(lambda v: str(v) == mine, lambda v: v + 1 if isinstance(v, (int, Decimal)) else "zz-other")
    if there and told.error is None and _status(told) is not PaymentStatus.PENDING:
        expect(asked or _one(told).provider_id != mine, f"every answer named another payment, and the flow {told}")


@check(cases=here("lookup_of_paid", "lookup_of_failed", "find_schedule", "lookup_key"), faces=SYNC)
def the_record_of_another_is_not_taken_for_the_one_asked_about(bench: Bench, case: str) -> None:
    """A cache or a mixed-up connection may answer with somebody else's record."""
    tape = listened(bench, case)
    known = {"lookup_of_paid": "provider_id", "lookup_of_failed": "provider_id", "find_schedule": "order_id"}.get(case)
    value = tape.told.value
    ours = value.billing_key.reveal() if known is None else getattr(value, known)
    told, there = tape.where(lambda v: str(v) == ours, lambda v: v + 1 if isinstance(v, (int, Decimal)) else f"{v}9")
    if there and told.error is None:
        value = told.value
        now = value.billing_key.reveal() if known is None and value else getattr(value, known or "", None)
        expect(now != ours, f"the answer was the record of another, and the flow {told}")


@check(cases=here(*LOOKS), faces=SYNC)
def a_look_up_that_is_not_let_in_says_so(bench: Bench, case: str) -> None:
    """401 and 429 say nothing about the order: no record, and no absence."""
    tape = listened(bench, case)
    for number in range(len(tape.answers)):
        for status in (401, 429):
            for wait in ("", "1", "-1", "nan", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 400):
                answer = Response(status, {"content-type": "application/json", "retry-after": wait}, b"{}")
                told = tape.changed(number, answer)
                expect(isinstance(told.error, (Refused, OutcomeUnknown)), f"a look-up met status {status}: it {told}")
                after = told.error.retry_after_s if isinstance(told.error, RateLimited) else None
                expect(after is None or 0 <= after < 10**7, f"retry-after {wait[:20]!r} was read as {after}")


@check(C.CHARGE, faces=SYNC)
def credentials_that_are_not_accepted_are_told_as_such(bench: Bench) -> None:
    """401 on a charge: nothing was done, and the settings are to be checked."""
    tape = listened(bench, "charge")
    told = tape.changed(0, bench.pg.unauthorized())
    expect(isinstance(told.error, Unauthorized), f"the PG did not let the charge in: the flow {told}")


@check(cases=here(*LOOKS), faces=SYNC)
def the_mode_of_a_record_is_read_from_the_record(bench: Bench, case: str) -> None:
    """A provider that repeats its own settings lets a test payment through in live mode."""
    tape, variants = _variants(bench, case)
    test = getattr(_one(tape.told), "test", None)
    if test is None:
        return
    expect(test is True, "a record made with test credentials is told as live")
    flips = [told for _, old, new, told in variants if isinstance(old, bool) and isinstance(new, bool)]
    seen = [t for t in flips if t.error is not None or getattr(_one(t), "test", None) is not test]
    expect(seen, "the record is told as a test record, and no field of it decides that")
