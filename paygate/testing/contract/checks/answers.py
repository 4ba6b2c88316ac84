"""What a provider makes of an answer: fields missing, null, of another kind, unknown, twice, added, echoed wrongly.

Played from tapes: the same conversation with one thing changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attrs import evolve

from ....capability import Capability
from ....errors import Declined, OutcomeUnknown, PaygateError, RateLimited, Refused, SetupError, Unauthorized
from ....model import PaymentStatus, ScheduledCharge
from ....wire import Response
from ..bench import Bench
from ..registry import SYNC, check
from ..tales import BY_NAME, here, listened
from ..tape import (
    GONE,
    Place,
    Tape,
    facts,
    parsed,
    places,
    put,
    with_json,
)
from ..told import Told, expect

C = Capability
UNKNOWN = "zz-kanari-unknown"
ASKS = ("charge", "refund", "renewal", "dated_charge")
LOOKS = tuple(name for name, tale in BY_NAME.items() if not tale.asks)
PAYMENTS = tuple(n for n in BY_NAME if n not in ("dated_charge", "find_schedule", "schedules", "lookup_key",
                                                 "subscription"))


def status_of(told: Told) -> Any:
    """What is told of the money, where anything is: of a dated charge that was tried, what became of it."""
    if isinstance(told.error, Declined):
        return PaymentStatus.FAILED
    value = one(told)
    return getattr(value, "payment_status", None) or getattr(value, "status", None)


def one(told: Told) -> Any:
    """The value, or the first of several."""
    return told.value[0] if isinstance(told.value, tuple) and told.value else told.value


def took(told: Told) -> bool:
    status = status_of(told)
    return isinstance(status, PaymentStatus) and status.took_money


MOST_PLAYS = 1_500
"""About so many plays of one tape: of very long answers, each field gets fewer replacements."""

Variant = tuple[str, Any, Any, Told]


def variants(bench: Bench, case: str) -> tuple[Tape, list[Variant]]:
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
    _, played = variants(bench, case)
    for what, _, _, told in played:
        expect(told.error is None or isinstance(told.error, PaygateError), f"{what}: the flow {told}")
        expect(not (told.asked and isinstance(told.error, SetupError)),
               f"{what}: the flow {told}, as if nothing had been sent")


@check(cases=here(), faces=SYNC)
def an_unknown_word_is_never_guessed(bench: Bench, case: str) -> None:
    """A status that nobody has published is neither paid nor failed, and in a look-up not pending either."""
    tape, played = variants(bench, case)
    before = status_of(tape.told)
    for what, _, new, told in played:
        if new != UNKNOWN or told.error is not None or status_of(told) == before or _tells_less(tape.told, told):
            continue
        pending = status_of(told) is PaymentStatus.PENDING and BY_NAME[case].asks
        expect(pending, f"{what}: the flow {told}; without it, it {tape.told}")


def _tells_less(before: Told, now: Told) -> bool:
    """Whether nothing is told any more of what became of a dated charge, or of a payment among several: no guess."""
    was, value = one(before), one(now)
    several = isinstance(before.value, tuple) and len(before.value) > 1 and len(now.value) < len(before.value)
    return several or (isinstance(was, ScheduledCharge) and isinstance(value, ScheduledCharge)
                           and value.payment_status is None and value.status is was.status)


@check(cases=here(*PAYMENTS), faces=SYNC)
def no_changed_field_makes_money_appear(bench: Bench, case: str) -> None:
    """What was not paid is not paid because something is missing."""
    tape, played = variants(bench, case)
    for what, _, _, told in played:
        expect(took(tape.told) or not took(told), f"{what}: the flow {told}; the PG's own answer: it {tape.told}")


@check(cases=here(*PAYMENTS), faces=SYNC)
def no_changed_field_makes_money_vanish(bench: Bench, case: str) -> None:
    """What was paid is not failed, nor refused, because something is missing or not understood."""
    tape, played = variants(bench, case)
    for what, old, new, told in played:
        if not took(tape.told):
            continue
        said_no = type(old) in (int, bool) and type(new) in (int, bool)  # A result code or flag of another value.
        expect(status_of(told) is not PaymentStatus.FAILED, f"{what}: the flow {told}")
        expect(said_no or not told.asked or not isinstance(told.error, Refused), f"{what}: the flow {told}")


@check(cases=here(*LOOKS), faces=SYNC)
def a_record_that_is_not_understood_is_not_taken_for_absence(bench: Bench, case: str) -> None:
    """'Nothing there' lets an order be sent again: it is said only where the PG says so."""
    tape, played = variants(bench, case)
    if tape.told.value in (None, ()):
        return
    for what, old, new, told in played:
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
                expect(told.error is not None or status_of(told) is PaymentStatus.PENDING,
                       f"answer {number + 1} names {name} twice, and the flow {told}")


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
    tape, played = variants(bench, case)
    test = getattr(one(tape.told), "test", None)
    is_payment = hasattr(one(tape.told), "test") and hasattr(one(tape.told), "money")
    expect(test is not None or not (bench.pg.tells_mode and is_payment), "this PG's records say their mode: not read")
    if test is None:
        return
    expect(test is True, "a record made with test credentials is told as live")
    flips = [told for _, old, new, told in played if isinstance(old, bool) and isinstance(new, bool)]
    seen = [t for t in flips if t.error is not None or getattr(one(t), "test", None) is not test]
    expect(seen, "the record is told as a test record, and no field of it decides that")
