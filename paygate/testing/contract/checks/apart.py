"""What must be kept apart: two merchants in one process, orders of one batch, an id that somebody else has used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
from attrs import evolve

from ....capability import Capability
from ....codec import settings_from
from ....errors import BadSettings
from ....model import ScheduleStatus
from ....secret import Secret
from ..bench import Bench
from ..origins import SLACK_S
from ..registry import SYNC, check
from ..told import Broke, NotHere, expect
from ..verbs import verbs
from .secrecy import _plain, credentials

C = Capability


def _others(bench: Bench) -> dict[str, Any]:
    """The emulator's settings as another merchant would have them: every credential is another one."""
    spec, given = bench.subject.spec, dict(bench.subject.settings(bench.pg))
    made = settings_from(spec.settings, given, spec.name)
    secret = {f.name for f in attrs.fields(spec.settings) if isinstance(getattr(made, f.name), Secret)}
    for name in sorted(secret | set(credentials(bench))):
        text = given.get(name)
        if isinstance(text, str) and len(text) >= 4:
            given[name] = f"{text[:-1]}{'7' if text[-1] == '0' else '0'}"
    try:
        settings_from(spec.settings, given, spec.name)
    except BadSettings as error:
        raise NotHere(f"no other credentials were found that could be this PG's: {error}") from None
    return given


def _sent_by(shop: Bench) -> str:
    """Whatever left when that merchant asked for this and that; the PG need not know them, nor let any of it in."""
    for verb, make in verbs(shop):
        if verb in ("find", "lookup", "cancel", "cancel_whole", "confirm", "confirm_key", "delete_key"):
            continue
        try:
            shop.ask(verb, *make())
        except (Broke, NotHere):
            continue
    if shop.claims(C.LOOKUP):
        shop.ask("lookup", "zz-not-there")
    said = [s.call.target + s.call.body.decode("utf-8", "replace") for s in shop.sent()]
    return "".join([*said, *(_plain(v) for s in shop.sent() for v in s.call.headers.values())])


@check(faces=SYNC)
def two_merchants_in_one_process_each_use_their_own_credentials(bench: Bench) -> None:
    """Whichever was built first, and whichever acts first: nothing is kept where both can reach it."""
    _sent_by(bench)
    theirs = _others(bench)
    mine: dict[str, Any] = dict(bench.subject.settings(bench.pg))
    names = [n for n in credentials(bench) if mine[n] != theirs.get(n)]
    if not names:
        raise NotHere("no credential of this provider was seen in a request")
    for order in ((mine, theirs), (theirs, mine)):
        # Both are built before either acts.
        with Bench(bench.subject, **order[0]) as first, Bench(bench.subject, **order[1]) as second:
            for shop, own, other in ((first, *order), (second, *reversed(order))):
                said = _sent_by(shop)
                for name in names:
                    expect(own[name] in said, f"one of two merchants never used {name} of their own")
                    expect(other[name] not in said, f"one merchant used {name} of the other")


@check(C.SCHEDULE, C.FIND_SCHEDULE, faces=SYNC)
def a_dated_order_id_that_somebody_used_is_not_replaced_by_another(bench: Bench) -> None:
    """What the PG charges in the end was asked for, under an id that was asked for, and told as it is."""
    command = bench.schedule(bench.clock.now() + timedelta(days=2))
    bench.do("schedule", command)
    since, dated = len(bench.journal), command.charges[0]
    with bench.another() as shop:
        told = shop.ask("schedule", evolve(command, charges=[evolve(dated, money=bench.another_money())]))
    bench.clock.advance(2 * 86_400 + SLACK_S)
    taken = [(m.order_id, m.money) for m in bench.journal[since:] if m.kind == "charge"]
    expect(len(taken) == 1, f"one order id was asked for twice, on one date; the PG charged {len(taken)} times")
    expect(not bench.claims(C.FIND) or taken[0][0] == dated.order_id,
           f"{dated.order_id} was asked for, and the PG charged {taken[0][0]}")
    if told.is_yes:
        expect(told.value[0].money == taken[0][1], f"the PG took {taken[0][1]}, and {told.value[0].money} were told")


@check(C.SCHEDULE, C.FIND_SCHEDULE, faces=SYNC, cases=("first", "middle", "last"))
def a_batch_of_dated_charges_with_a_used_id_in_it_is_refused_whole_or_in_doubt(bench: Bench, case: str) -> None:
    """A no about all of them, while some are held, has the others charged on their day and nobody knows."""
    now = bench.clock.now()
    used = bench.schedule(now + timedelta(days=9))
    bench.do("schedule", used)
    place = ("first", "middle", "last").index(case)
    for by in ("the gateway", "the flow"):
        command = bench.schedule(*(now + timedelta(days=d) for d in (20, 21, 22)))
        charges = list(command.charges)
        charges[place] = evolve(charges[place], order_id=used.charges[0].order_id, money=bench.another_money())
        batch = evolve(command, charges=charges)
        with bench.another() as shop:
            told = shop.ask("schedule", batch) if by == "the gateway" else shop.say(shop.provider.schedule(batch))
        held = []
        for one in (c for n, c in enumerate(charges) if n != place):
            seen = bench.say(bench.provider.find_schedule(one.order_id)).expected("an undisturbed find_schedule")
            held += [one.order_id] if seen is not None and seen.status is ScheduleStatus.SCHEDULED else []
        expect(not (told.is_no and held), f"{by} {told}; the PG holds {len(held)} of the charges")
        expect(not (told.is_yes and len(held) < 2), f"{by} {told}; the PG holds {len(held)} of the charges")


@check(C.DELETE_KEY, faces=SYNC)
def a_deletion_that_the_pg_says_it_did_not_make_is_not_told_as_made(bench: Bench) -> None:
    """Where the answer says by a flag or a code whether it was done, something of it is read."""
    _flags(bench, "delete_key")


@check(C.UNSUBSCRIBE, C.SUBSCRIBE, faces=SYNC)
def an_end_of_a_subscription_that_the_pg_says_it_did_not_make_is_not_told_as_made(bench: Bench) -> None:
    """Where the answer says by a flag or a code whether it was done, something of it is read."""
    _flags(bench, "unsubscribe")


def _flags(bench: Bench, verb: str) -> None:
    from ..acts import acts_of
    from ..tape import parsed, places, put, recorded, with_json

    tape = recorded(bench, next(kind for kind in acts_of(bench.subject) if kind.verb == verb)(bench).flow)
    tape.told.expected(f"the flow of {verb}")
    leaves = [(number, at, old) for number, answer in enumerate(tape.answers) for at, old in places(parsed(answer))
              if at and isinstance(old, (bool, int, str))]
    if not any(isinstance(old, bool) for _, _, old in leaves):
        raise NotHere("no flag stands in what the PG answers")
    other = [tape.changed(number, with_json(tape.answers[number], put(parsed(tape.answers[number]), at, new)))
             for number, at, old in leaves for new in ((not old,) if isinstance(old, bool) else (-1, "zz-no"))]
    expect(any(told.error is not None for told in other), f"{verb} succeeds, whatever the answer says")
