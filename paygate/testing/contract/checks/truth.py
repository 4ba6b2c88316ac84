"""Whatever goes wrong with a call: what is told is true, and nothing happens twice. One check for each verb and level.

The PG's journal is the judge: "yes" means that it happened once, "no" that it never did and never will, and only a
doubt may be either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ....capability import Certainty
from ....errors import NotSent, OutcomeUnknown
from ....model import PaymentStatus
from ..act import Act
from ..acts import ACTS, is_error_of_ours, rehearsed
from ..bench import FACES, Bench
from ..registry import SYNC, add
from ..subject import Subject
from ..told import Told, expect
from ..troubles import BRIEF, CASES, DEAF, MAIN, STRANGE, TELLING, Trouble

_BARE = {"null_before", "list_before", "empty_object_before"}
"""An answer that is well formed and says nothing: a verb whose true answer says nothing cannot tell it apart."""
LATEST_S = 400.0
_PAGES = {t.name for t in STRANGE if "_page_" in t.name}


def _cases_of(kind: type[Act], *, alone: bool) -> Callable[[Subject], Iterable[str]]:
    def cases(subject: Subject) -> Iterable[str]:
        # Through the gateway, what may be repeated needs no more than what matters: no money can move twice.
        return CASES if kind.is_main and (alone or kind.is_once) else MAIN
    return cases


def _wanted(kind: type[Act], subject: Subject, case: str, *, asks: bool) -> list[Trouble]:
    """A PG that is documented to be quick does not act a minute later."""
    settle = subject.spec.profile.settle_s
    quick = settle.value < 75 and settle.certainty is Certainty.DOCUMENTED
    return [t for t in CASES[case] if not (quick and t.acts == "later") and (kind.moves or t.name not in _BARE)
            and (asks or t.name in BRIEF)]


def _gateway(kind: type[Act]) -> None:
    def body(bench: Bench, case: str) -> None:
        for number, asks in enumerate(rehearsed(bench, kind(bench))):
            for trouble in _wanted(kind, bench.subject, case, asks=asks):
                if trouble.name in _PAGES - TELLING:
                    continue  # What a provider makes of each of them, its flow alone is asked.
                _meet(bench, kind, trouble, number, is_deaf=False)
                if asks and kind.moves and bench.face == "sync":
                    _meet(bench, kind, trouble, number, is_deaf=True)

    body.__doc__ = "Through the gateway, each of its requests disturbed in turn; the journal is the judge."
    body.__module__ = __name__
    add(body, f"a_{kind.word}_is_told_as_it_is_whatever_goes_wrong", needs=kind.needs, when=kind.why_not,
        cases=_cases_of(kind, alone=False), faces=FACES if kind.moves and kind.is_main else SYNC)


def _meet(bench: Bench, kind: type[Act], trouble: Trouble, number: int, *, is_deaf: bool) -> None:
    with bench.fresh() as shop:
        act = kind(shop)
        shop.wire.plan(trouble, skip=number)
        if is_deaf:
            shop.wire.plan(DEAF, times=1_000, skip=number)
        told = act.ask()
        shop.wire.calm()
        after = " and nothing was answered from then on" if is_deaf else ""
        _judge(shop, act, told, f"request {number + 1} of {act.verb} met {trouble.name}{after}: it {told}",
               says_done=getattr(told.value, "status", None) is not PaymentStatus.PENDING,
               may_be_told_no=trouble.is_answer and not act.moves and act.verb not in ("schedule", "unschedule"),
               is_answer=trouble.is_answer)


def _judge(bench: Bench, act: Act, told: Told, what: str, *, says_done: bool, may_be_told_no: bool,
           is_answer: bool) -> None:
    expect(is_error_of_ours(told), f"{what}, which is no error of paygate's")
    asked = [s for s in bench.sent(act.mark) if act.moves is not None and any(m.kind == act.moves for m in s.moved)]
    bench.clock.advance(LATEST_S)
    done = act.done()
    if done is None:
        expect(act.since == len(bench.journal), f"{what}, and money moved before any payer acted")
        return
    expect(done <= 1, f"{what}, and the PG did it {done} times")
    partly = act.partly()
    expect(partly is None or told.in_doubt, f"{what}, and {partly}")
    if partly is not None:
        return
    expect(len(asked) <= 1, f"{what}, and money moved with {len(asked)} requests")
    if told.in_doubt and getattr(told.error, "accepted", False):
        expect(done == 1 or is_answer, f"{what}, which says that the PG accepted it, and the PG never did it")
    if told.is_yes and says_done:
        expect(done == 1, f"{what}, and the PG never did it")
    elif told.is_no:
        expect(done == 0 or may_be_told_no, f"{what}, which says that nothing moved, and the PG did it")


def _alone(kind: type[Act]) -> None:
    def body(bench: Bench, case: str) -> None:
        steps = _steps(bench, kind)
        for number, asks in enumerate(steps):
            for trouble in _wanted(kind, bench.subject, case, asks=asks):
                with bench.fresh() as shop:
                    act = kind(shop)
                    shop.wire.plan(trouble, skip=number)
                    told = shop.say(act.flow())
                    sent = [s.line for s in shop.sent(act.mark)[number:]]
                    shop.wire.calm()
                    what = f"request {number + 1} of the flow of {act.verb} met {trouble.name}: it {told}"
                    says_done = told.is_yes and act.claims_done(told.value)
                    _judge(shop, act, told, what, says_done=says_done, may_be_told_no=trouble.is_answer,
                           is_answer=trouble.is_answer)
                    if asks:
                        _strict(act, told, trouble, what, sent)
                    elif any(steps[:number]) and act.verb == "cancel" and told.in_doubt and not trouble.is_answer:
                        expect(isinstance(told.error, OutcomeUnknown) and told.error.accepted,
                               f"{what}; the PG had said that it gave the money back, and the error's `accepted` does "
                               "not say so")

    body.__doc__ = "The provider alone, without a ledger that makes up for it, each of its requests disturbed in turn."
    body.__module__ = __name__
    add(body, f"the_flow_of_a_{kind.word}_claims_nothing_it_was_not_told", needs=kind.needs, when=kind.why_not,
        cases=_cases_of(kind, alone=True), faces=SYNC)


def _steps(bench: Bench, kind: type[Act]) -> list[bool]:
    """For each request of the flow: whether it is the one that asks for something to be done."""
    act = kind(bench)
    bench.say(act.flow()).expected(f"the flow of {act.verb}, undisturbed,")
    if act.moves is None:
        return [s.call.method != "GET" for s in bench.sent(act.mark)]
    return [any(m.kind == act.moves for m in s.moved) for s in bench.sent(act.mark)]


def _strict(act: Act, told: Told, trouble: Trouble, what: str, sent: list[str]) -> None:
    """What a flow may say where its very request met trouble: only what a complete answer of the PG said."""
    if act.is_once and not trouble.is_unprocessed:
        expect(sent.count(sent[0]) == 1, f"{what}, having asked again: what may have arrived is never sent again")
    if trouble.is_answer:
        return
    if trouble.is_refused:
        expect(isinstance(told.error, (NotSent, OutcomeUnknown)), what)
        return
    expect(not getattr(told.error, "accepted", False), f"{what}; nobody said that it was accepted")
    expect(told.error is None or isinstance(told.error, OutcomeUnknown),
           f"{what}; nobody can know what became of it, so it is OutcomeUnknown")
    looked = len(sent) > 1  # What it says may be what it read afterwards.
    expect(told.error is not None or looked or not act.moves, f"{what}; no complete answer of the PG said so")


for _kind in ACTS:
    _gateway(_kind)
    _alone(_kind)
