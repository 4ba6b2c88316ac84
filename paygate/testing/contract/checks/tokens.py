"""The access token's life: fetched once, used while it lives, renewed in time, and never instead of an answer."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ....capability import Capability
from ....errors import NotSent, PaygateError, Unauthorized
from ....provider import Provider
from ....wire import Response, Token
from ...emulator import Call
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import NotHere, Told, expect
from ..troubles import CASES, Trouble
from ..wire import Sent

C = Capability


def _has_token(subject: Subject) -> str | None:
    emulator = subject.emulator()
    from ....codec import settings_from

    try:
        made = subject.spec.build(settings_from(subject.spec.settings, subject.settings(emulator), subject.name))
    except PaygateError:
        return None
    return None if type(made).token is not Provider.token else "this provider has no token"


def _calls(bench: Bench) -> list[str]:
    """The requests by which a token is fetched."""
    mark = bench.mark
    bench.say(bench.provider.token()).expected("fetching a token")
    return [s.line for s in bench.sent(mark)]


def _work(bench: Bench) -> Told:
    """Something that needs a token and changes nothing."""
    for verb, needs, argument in (("lookup", C.LOOKUP, "zz-not-there"), ("find", C.FIND, bench.order())):
        if bench.claims(needs):
            return bench.ask(verb, argument)
    raise NotHere("nothing can be looked up")


def _fetches(sent: list[Sent], lines: list[str]) -> int:
    return sum(s.line == lines[-1] for s in sent)


@check(when=_has_token)
def a_token_is_fetched_once_and_used_while_it_lives(bench: Bench) -> None:
    """Not one for every request: PGs count them."""
    lines, mark = _calls(bench), bench.mark
    for _ in range(8):
        bench.clock.advance(1)
        _work(bench)
    expect(_fetches(bench.sent(mark), lines) <= 1, f"for eight looks, {_fetches(bench.sent(mark), lines)} tokens")


@check(when=_has_token)
def a_token_is_renewed_before_it_ends(bench: Bench) -> None:
    """Its lifetime is told rightly: no call is ever turned away for a token that is over."""
    _work(bench)
    for step in (60, 600, 1_200, 1_800, 3_600, 7_200, 86_400, 86_400 * 3):
        bench.clock.advance(step)
        mark = bench.mark
        _work(bench)
        turned = [s.line for s in bench.sent(mark) if s.status == 401]
        expect(not turned, f"{step} s later a call was sent with a token that was over")


@check(C.CHARGE, when=_has_token)
def a_token_that_ends_early_is_renewed_once_and_the_charge_made_once(bench: Bench) -> None:
    """401 means that nothing was done: one new token, one more try."""
    command = bench.charge()
    bench.warm()
    since, mark = len(bench.journal), bench.mark
    bench.wire.plan(CASES["unauthorized"][0])
    payment = bench.do("charge", command)
    expect(payment.status.took_money and bench.charges(since) == 1, f"after one 401 the charge is {payment}")
    expect(len(bench.sent(mark)) <= 4, f"after one 401, {len(bench.sent(mark))} requests")


@check(C.CHARGE, when=_has_token)
def a_pg_that_never_lets_us_in_is_told_as_such_and_nothing_moved(bench: Bench) -> None:
    """No endless asking."""
    command = bench.charge()
    since, mark = len(bench.journal), bench.mark
    bench.wire.plan(CASES["unauthorized"][0], times=100)
    told = bench.ask("charge", command)
    bench.wire.calm()
    expect(told.is_no and bench.charges(since) == 0, f"never let in, the charge {told}")
    expect(len(bench.sent(mark)) <= 8, f"never let in, and {len(bench.sent(mark))} requests")


@check(C.CHARGE, when=_has_token, cases=tuple(CASES), faces=SYNC)
def without_a_token_nothing_is_sent_and_nothing_moved(bench: Bench, case: str) -> None:
    """Whatever becomes of the request for it; and only the PG's own no says that the credentials are wrong."""
    lines = set(_calls(bench))
    for trouble in CASES[case]:
        with bench.fresh() as shop:
            command = shop.charge()
            shop.gate._account.tokens.drop()
            since, mark = len(shop.journal), shop.mark
            shop.wire.plan(trouble, lambda call: f"{call.method} {call.path}" in lines, times=50)
            told = shop.ask("charge", command)
            shop.wire.calm()
            others = [s.line for s in shop.sent(mark) if s.line not in lines]
            if told.is_yes:
                expect(shop.charges(since) == 1, f"the token's request met {trouble.name}: the charge {told}")
                continue
            expect(told.is_no and not others, f"no token ({trouble.name}), and the charge {told}, having sent {others}")
            expect(shop.charges(since) == 0, f"no token ({trouble.name}), and money moved")
            if not (trouble.is_answer or trouble.name.startswith("status_400")):  # PGs say so with any 400.
                expect(not isinstance(told.error, Unauthorized), f"{trouble.name} is no word about credentials; {told}")


@check(when=_has_token, faces=SYNC)
def wrong_credentials_are_told_as_such(bench: Bench) -> None:
    """The merchant has to change a setting, not to try again."""
    lines = set(_calls(bench))
    refused = Trouble(name="refused", acts="no", meet=lambda wire, call: bench.pg.unauthorized(), is_answer=True)
    bench.gate._account.tokens.drop()
    bench.wire.plan(refused, _one_of(lines), times=50)
    told = bench.say(bench.provider.token())
    expect(isinstance(told.error, Unauthorized), f"the PG did not accept the credentials: the token's flow {told}")


def _one_of(lines: set[str]) -> Any:
    def fits(call: Call) -> bool:
        return f"{call.method} {call.path}" in lines
    return fits


@check(when=_has_token, faces=SYNC)
def no_token_is_made_of_an_answer_that_holds_none(bench: Bench) -> None:
    """null, a number, an empty text, a lifetime of a year or of less than nothing."""
    from ..tape import parsed, places, put, recorded, with_json

    tape = recorded(bench, bench.provider.token)
    good = tape.told.expected("fetching a token")
    life = good.lifetime_s
    expect(isinstance(good, Token) and 0 < life <= 7 * 86_400, f"the token is told to live {life} s")
    secret = max((h.reveal() for h in good.headers.values()), key=len)
    for number, answer in enumerate(tape.answers):
        whole = parsed(answer)
        if whole is None:
            continue
        for at, old in places(whole):
            if isinstance(old, str) and old and old in secret:
                wrong: tuple[Any, ...] = (None, "", 7, [], {}, True, "a\nb", "a b" * 5_000)
                for new in wrong:
                    told = tape.changed(number, with_json(answer, put(whole, at, new)))
                    expect(isinstance(told.error, (NotSent, PaygateError)), f"a token of {new!r}: the flow {told}")
        for body in (b"null", b"{}", b"[]", b"", b"<html>"):
            told = tape.changed(number, evolve(answer, body=body))
            expect(isinstance(told.error, PaygateError), f"an answer of {body!r}: the token's flow {told}")
        told = tape.changed(number, Response(500, {"content-type": "application/json"}, answer.body))
        expect(isinstance(told.error, PaygateError), f"status 500 with a token in it: the flow {told}")
