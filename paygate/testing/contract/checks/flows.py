"""Flows: generators of requests and nothing else. No clock, no sleep, no I/O, nothing sent twice by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve

from ....capability import Capability
from ....codec import settings_from
from ....errors import PaygateError
from ....flow import Flow
from ....model import Payment
from ....wire import Request, Response
from ..act import Act
from ..acts import ACTS, acts_of
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..tales import TALES, here, listened
from ..tape import Tape, facts, recorded
from ..told import NotHere, expect
from ..world import watching

C = Capability
LOOKS = tuple(tale.name for tale in TALES if not tale.asks)


def _acts(subject: Subject) -> Iterable[str]:
    return list(dict.fromkeys(kind.verb for kind in acts_of(subject)))


def _act(bench: Bench, verb: str) -> Act:
    return next(kind for kind in ACTS if kind.verb == verb)(bench)


@check(cases=_acts, faces=SYNC)
def a_request_that_moves_money_is_never_marked_as_repeatable(bench: Bench, case: str) -> None:
    """What is marked so, the core sends again after a lost answer."""
    act = _act(bench, case)
    tape = recorded(bench, act.flow)
    tape.told.expected(f"the flow of {case}")
    sent = bench.sent(act.mark)
    expect(len(sent) == len(tape.requests), f"{len(tape.requests)} requests were yielded, {len(sent)} were sent")
    for request, seen in zip(tape.requests, sent, strict=True):
        if seen.moved:
            expect(not request.repeatable, f"{seen.line} moved money, and it is marked as repeatable")
            expect(request.method != "GET", f"{seen.line} moved money, and a GET is taken for a look")
    if case == "schedule":
        asks = [r for r in tape.requests if r.method != "GET"]
        expect(not any(r.repeatable for r in asks), "a dated charge is asked for with a request marked as repeatable")


@check(cases=_acts, faces=SYNC)
def a_flow_yields_requests_and_ends(bench: Bench, case: str) -> None:
    """Nothing else comes out of it, and not very many of them."""
    act = _act(bench, case)
    tape = recorded(bench, act.flow)
    tape.told.expected(f"the flow of {case}")
    expect(all(isinstance(r, Request) for r in tape.requests), f"the flow of {case} yields what is no request")
    expect(len(tape.requests) <= 40, f"the flow of {case} asks {len(tape.requests)} times")


@check(cases=_acts, faces=SYNC)
def a_flow_that_is_dropped_ends_at_once(bench: Bench, case: str) -> None:
    """A cancelled task, a process that stops: nothing more is asked for on the way out."""
    act = _act(bench, case)
    tape = recorded(bench, act.flow)
    for stop in range(len(tape.answers) + 1):
        flow = _played_to(tape, stop)
        if flow is None:
            break
        try:
            flow.close()
        except RuntimeError:
            expect(False, f"the flow of {case} goes on asking when it is dropped after {stop} answers")


def _played_to(tape: Tape, stop: int) -> Flow[Any] | None:
    """The flow again, having been given `stop` answers; None where it has ended by then."""
    flow = tape.making()
    try:
        next(flow)
        for answer in tape.answers[:stop]:
            flow.send(answer)
    except (StopIteration, PaygateError):
        return None
    return flow


@check(cases=_acts, faces=SYNC)
def an_interrupt_passes_through_a_flow(bench: Bench, case: str) -> None:
    """A flow that swallows KeyboardInterrupt cannot be stopped."""
    act = _act(bench, case)
    tape = recorded(bench, act.flow)
    for stop in range(len(tape.answers)):
        flow = _played_to(tape, stop)
        if flow is None:
            break
        try:
            flow.throw(KeyboardInterrupt())
        except KeyboardInterrupt:
            continue
        except BaseException as error:
            expect(False, f"interrupted, the flow of {case} raised {type(error).__name__}")
        expect(False, f"interrupted, the flow of {case} goes on")


@check(C.CHARGE, faces=SYNC)
def flows_that_run_side_by_side_do_not_mix(bench: Bench) -> None:
    """One provider serves many threads and tasks: nothing of one command may be remembered for another."""
    commands = [bench.charge(), bench.charge(money=bench.another_money(4))]
    tapes = [recorded(bench, _charging(bench, c)) for c in commands]
    for first, second in ((0, 1), (1, 0)):
        one, other = bench.provider.charge(commands[first]), bench.provider.charge(commands[second])
        asked = [next(one), next(other)]
        expect([_said(r) for r in asked] == [_said(tapes[first].requests[0]), _said(tapes[second].requests[0])],
               "two charges that run side by side ask for something else than one after the other")
        told_other, told_one = _finish(other, tapes[second]), _finish(one, tapes[first])
        expect((facts(told_one), facts(told_other)) == (facts(_value(tapes[first])), facts(_value(tapes[second]))),
               f"side by side, two charges are told as {told_one} and {told_other}")


def _charging(bench: Bench, command: Any) -> Any:
    return lambda: bench.provider.charge(command)


def _value(tape: Tape) -> Any:
    return tape.told.expected("a charge")


def _said(request: Request) -> tuple[Any, ...]:
    return request.method, str(request.path), request.query, request.json, request.headers


def _finish(flow: Flow[Payment], tape: Tape) -> Any:
    try:
        for answer in tape.answers:
            flow.send(answer)
    except StopIteration as stop:
        return stop.value
    return None


@check(cases=_acts, faces=SYNC)
def the_same_flow_played_again_says_the_same(bench: Bench, case: str) -> None:
    """Nothing is remembered between calls."""
    act = _act(bench, case)
    tape = recorded(bench, act.flow)
    first = tape.told
    for _ in range(2):
        again = tape.play(tape.answers)
        expect(type(again.error) is type(first.error) and facts(again.value) == facts(first.value),
               f"with the same answers, the flow of {case} {again}, and at first it {first}")


def _flows(subject: Subject) -> list[str]:
    return [*_acts(subject), *here(*LOOKS)(subject)]


@check(cases=_flows, faces=SYNC)
def a_flow_reaches_for_nothing_but_its_requests(bench: Bench, case: str) -> None:
    """No clock, no dice, no waiting, no file, no socket, no process, no output: it is driven, it does not drive."""
    tape = listened(bench, case) if case in LOOKS else recorded(bench, _act(bench, case).flow)
    tape.play(tape.answers)  # What is loaded on first use is loaded by now.
    reached = watching(type(bench.provider), lambda: tape.play(tape.answers))
    expect(not reached, f"the flow of {case} reaches for {', '.join(sorted(reached))}")


@check(faces=SYNC)
def what_says_that_nothing_was_done_is_never_a_success_nor_a_servers_fault(bench: Bench) -> None:
    """After such an answer the core sends again: only a PG that did not begin may be said to answer so."""
    bodies = [b"", b"{}", b"null", b"<html></html>", b'{"message": "internal"}']
    for sent in _some_answers(bench):
        bodies.append(sent.body)
        expect(not bench.provider.is_unprocessed(sent),
               f"an answer of status {sent.status} to what was done is taken for one to what was not")
    for status in (200, 201, 202, 204, 301, 302, 307, 408, 409, 425, 500, 502, 503, 504):
        for body in bodies:
            answer = Response(status, {"content-type": "application/json"}, body)
            expect(not bench.provider.is_unprocessed(answer), f"status {status} is taken to mean that nothing was done")


def _some_answers(bench: Bench) -> list[Response]:
    found: list[Response] = []
    for kind in acts_of(bench.subject):
        if kind.moves is not None:
            with bench.fresh() as shop:
                try:
                    found += recorded(shop, kind(shop).flow).answers
                except NotHere:
                    continue
    return found


@check(C.CHARGE, faces=SYNC)
def what_says_that_nothing_was_done_is_believed_by_the_core_and_was_not_done(bench: Bench) -> None:
    """Every declared status, answered without acting: sent again at most twice, and charged once at most."""
    from ..troubles import Trouble

    for status in sorted(bench.subject.spec.unprocessed):
        with bench.fresh() as shop:
            command = shop.charge()
            shop.warm()
            since = len(shop.journal)
            answer = evolve(shop.pg.unauthorized(), status=status)
            shop.wire.plan(Trouble(name=str(status), acts="no", meet=lambda wire, call, a=answer: a,  # type: ignore[misc]
                                   is_answer=True))
            told = shop.ask("charge", command)
            shop.wire.calm()
            expect(shop.charges(since) == (1 if told.is_yes else 0), f"after one {status} the charge {told}")


@check(faces=SYNC)
def a_provider_is_built_from_its_settings_alone(bench: Bench) -> None:
    """Two of them say the same: nothing is shared, read from the environment or made up when it is built."""
    spec = bench.subject.spec
    settings = settings_from(spec.settings, bench.subject.settings(bench.pg), spec.name)
    one, other = spec.build(settings), spec.build(settings)
    expect(one is not other, "two gateways share one provider")
    for verb, needs, make in (("charge", C.CHARGE, bench.charge), ("pay", C.PAY, bench.pay)):
        if bench.claims(needs):
            command: Any = make()
            first, second = _first(getattr(one, verb)(command)), _first(getattr(other, verb)(command))
            expect(first == second, f"two providers of the same settings begin {verb} with different requests")


def _first(flow: Flow[Any]) -> Any:
    try:
        request = next(flow)
    except StopIteration as stop:
        return facts(stop.value)
    flow.close()
    return _said(request)
