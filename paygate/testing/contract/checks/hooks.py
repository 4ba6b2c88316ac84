"""Webhooks: hints to look, whoever sends them, however often, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ....capability import Capability
from ....errors import Forged, PaygateError
from ....model import Hint, Payment
from ...emulator import Hook
from ..bench import Bench
from ..registry import SYNC, check
from ..told import Broke, NotHere, Told, expect
from ..troubles import CASES

C = Capability
PLAIN = {"content-type", "content-length", "user-agent", "accept", "host"}
GARBAGE = (b"", b"{}", b"[]", b"null", b"true", b'"x"', b"1e999", b"{", b"\xff\xfe\x00", b"[" * 10_000, b"a=b&a=c",
           b'{"a": NaN}', b'{"a": 1, "a": 2}', b"x" * 200_000, b'{"id": {"id": {}}}', b"<xml/>", b"%00=%00")


def true_hooks(bench: Bench) -> list[Hook]:
    """True webhooks: of a payment, of its refund, and of whatever else this PG tells."""
    payment = bench.paid()
    if bench.claims(C.CANCEL):
        bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    if bench.claims(C.SUBSCRIBE):
        from ..acts_of_subscriptions import begun

        begun(bench)
    if not bench.pg.hooks:
        raise NotHere("this PG sends no webhook for a payment, nor for a refund")
    return list(bench.pg.hooks)


def _heard_of(bench: Bench) -> Payment:
    """A payment that a webhook has told of: where none tells of a charge, a part of it is given back.

    Raises: NotHere.
    """
    payment = bench.paid()
    if not bench.pg.hooks and bench.claims(C.CANCEL, C.CANCEL_PARTLY):
        bench.do("cancel", bench.cancel(payment.order_id, payment.money.amount // 2))
    if not bench.pg.hooks:
        raise NotHere("this PG sends no webhook for a payment, nor for a refund")
    return payment


def headers_of(hook: Hook) -> dict[str, str]:
    return {name.lower(): value for name, value in hook.headers.items()}


def read(bench: Bench, headers: Mapping[str, str], body: bytes, *, after_s: float = 0.0) -> Hint | None:
    """What the provider reads in a webhook; None where it says Forged."""
    try:
        return bench.provider.read_webhook(headers, body, bench.clock.now() + timedelta(seconds=after_s))
    except Forged:
        return None
    except Exception as error:
        raise Broke(f"a webhook raises {type(error).__name__}: only Forged says that it is none") from error


def _ledger(bench: Bench) -> list[tuple[str, str, str | None]]:
    rows = map(bench.row, bench.orders)
    return [(r.id, r.state.value, r.result) for r in rows if r is not None]


def _took(told: Told) -> bool:
    payment = getattr(told.value, "payment", None)
    return isinstance(payment, Payment) and payment.status.took_money


@check(C.RECEIVE)
def a_true_webhook_is_told_as_the_pgs_record_has_it_and_is_news_once(bench: Bench) -> None:
    """Delivered three times, the same event."""
    true_hooks(bench)
    for hook in bench.pg.hooks:
        told = [bench.ask("receive", headers_of(hook), hook.body) for _ in range(3)]
        for one in told:
            expect(one.error is None or isinstance(one.error, PaygateError), f"a true webhook: it {one}")
        events = [t.value for t in told if t.is_yes]
        expect(len({e.id for e in events}) <= 1, "one webhook delivered three times has several ids")
        expect(sum(e.is_news for e in events) <= 1, "one webhook delivered three times is news more than once")
        for event in events:
            payment = event.payment
            if payment is not None and payment.status.took_money and not payment.for_key:
                expect(payment.money.amount in {m.money.amount for m in bench.journal}, f"told as {payment}")
    believed = [bench.ask("receive", headers_of(h), h.body).is_yes for h in bench.pg.hooks]
    expect(any(believed), "no true webhook is believed")


@check(C.RECEIVE, faces=SYNC)
def a_webhook_that_bears_no_signature_is_not_told_as_signed(bench: Bench) -> None:
    """What is told as signed is believed more easily."""
    for hook in true_hooks(bench):
        plain = {n: v for n, v in headers_of(hook).items() if n in PLAIN}
        hint = read(bench, plain, hook.body)
        expect(hint is None or not hint.is_signed, "without a signature, a webhook is told as signed")


@check(C.RECEIVE, C.CHARGE)
def a_webhook_settles_a_charge_whose_answer_was_lost(bench: Bench) -> None:
    """Before anybody reconciles; and the charge is not sent again."""
    command = bench.charge()
    bench.warm()
    before, since = len(bench.pg.hooks), len(bench.journal)
    bench.wire.plan(CASES["drop_after"][0], times=1)
    bench.wire.plan(CASES["hang_before"][0], times=100)
    told = bench.ask("charge", command)
    bench.wire.calm()
    expect(told.in_doubt, f"a charge whose answer was lost {told}")
    if len(bench.pg.hooks) == before:
        raise NotHere("this PG sends no webhook for a charge of a key")
    bench.clock.advance(1)
    for hook in bench.pg.hooks[before:]:
        bench.ask("receive", headers_of(hook), hook.body)
    again = bench.do("charge", command)
    expect(again.status.took_money and bench.charges(since) == 1, f"after its webhook the charge is {again}")


@check(C.RECEIVE, C.CANCEL, C.CANCEL_PARTLY)
def webhooks_in_any_order_and_days_late_never_turn_the_ledger_back(bench: Bench) -> None:
    """What is known already is not forgotten because an older message comes last."""
    payment = bench.paid()
    bench.do("cancel", bench.cancel(payment.order_id, payment.money.amount // 14))
    bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    known = _ledger(bench)
    for wait in (0.0, 3 * 86_400.0):
        bench.clock.advance(wait)
        for hook in (*reversed(bench.pg.hooks), *bench.pg.hooks):
            told = bench.ask("receive", headers_of(hook), hook.body)
            expect(told.error is None or isinstance(told.error, PaygateError), f"a late webhook: it {told}")
    after = _ledger(bench)
    expect([k[:2] for k in known] == [a[:2] for a in after], f"{known} became {after}")
    if bench.claims(C.FIND):
        expect(bench.do("find", payment.order_id).left.is_zero, "a late webhook turned a refund back")


@check(C.RECEIVE)
def a_webhook_is_believed_by_a_look_at_the_pg_and_not_by_its_own_words(bench: Bench) -> None:
    """While the PG cannot be asked, no payment is told and nothing is written."""
    payment = _heard_of(bench)
    known = _ledger(bench)
    for hook in bench.pg.hooks:
        hint = read(bench, headers_of(hook), hook.body)
        if hint is None or hint.kind != "payment":
            continue
        bench.wire.plan(CASES["hang_before"][0], times=100)
        told = bench.ask("receive", headers_of(hook), hook.body)
        bench.wire.calm()
        expect(not told.is_yes, f"the PG could not be asked, and receive {told}")
        for _ in range(1 if hint.is_signed else 2):  # What was signed and told before may be told from the ledger.
            mark = bench.mark
            told = bench.ask("receive", headers_of(hook), hook.body)
            expect(bench.mark > mark or not told.is_yes,
                   f"a webhook of {payment.order_id} was believed, and nobody asked")
    expect([k[:2] for k in known] == [a[:2] for a in _ledger(bench)], "a webhook that told nothing new changed a row")


def _forgeries(bench: Bench, hook: Hook, changes: Mapping[str, str]) -> list[tuple[dict[str, str], bytes]]:
    """The hook with texts in it replaced, once as it is and once without what might sign it."""
    body = hook.body
    for old, new in changes.items():
        body = body.replace(old.encode(), new.encode())
    plain = {n: v for n, v in headers_of(hook).items() if n in PLAIN}
    return [] if body == hook.body else [(headers_of(hook), body), (plain, body)]


@check(C.RECEIVE, when=lambda s: None if s.claims(C.CHARGE) or s.claims(C.PAY) else "it takes no one-off money")
def a_forged_webhook_changes_nothing(bench: Bench) -> None:
    """Of a payment that is not there, for another order, with another status, with another amount."""
    payment = _heard_of(bench)
    unpaid = _unpaid(bench)
    hooks = [h for h in bench.pg.hooks if (h.body and read(bench, headers_of(h), h.body) is not None)]
    if not hooks:
        raise NotHere("this PG sends no webhook for a payment")
    known, moved = _ledger(bench), len(bench.journal)
    theirs = str(payment.provider_id)
    for hook in hooks:
        for changes in ({theirs: f"{theirs[:-1]}{'0' if theirs[-1] != '0' else '7'}"}, {payment.order_id: unpaid},
                        {payment.order_id: unpaid, theirs: "zz-0"}, {payment.order_id: bench.order("never")}):
            for headers, body in _forgeries(bench, hook, changes):
                told = bench.ask("receive", headers, body)
                expect(told.error is None or isinstance(told.error, PaygateError), f"a forged webhook: it {told}")
                named = getattr(told.value, "order_id", None)
                expect(not (_took(told) and named == unpaid), f"forged for {unpaid}, and receive {told}")
    expect(len(bench.journal) == moved, "a forged webhook moved money")
    expect([k[:2] for k in known] == [a[:2] for a in _ledger(bench)], "a forged webhook changed the ledger")


def _unpaid(bench: Bench) -> str:
    """An order that nobody has paid."""
    if bench.claims(C.PAY):
        command = bench.pay()
        bench.do("pay", command)
        return command.order_id
    charge = bench.charge()
    bench.warm()
    bench.wire.plan(CASES["drop_before"][0])
    bench.ask("charge", charge)
    bench.wire.calm()
    return charge.order_id


@check(C.RECEIVE, faces=SYNC)
def rubbish_is_forged_and_asks_nobody(bench: Bench) -> None:
    """Whoever knows the address may send anything; it must not cost a look-up, nor raise anything else."""
    kinds: tuple[dict[str, str], ...] = ({}, {"content-type": "application/json"}, {"content-type": "text/plain"},
                                         {"content-type": "application/x-www-form-urlencoded"},
                                         {"content-type": "application/json; charset=latin-1"})
    for headers in kinds:
        for body in GARBAGE:
            mark = bench.mark
            told = bench.ask("receive", headers, body)
            expect(isinstance(told.error, Forged), f"the body {body[:30]!r} as {headers}: receive {told}")
            bench.silent(mark, "rubbish was received")


@check(C.RECEIVE, faces=SYNC)
def hostile_ids_in_a_webhook_stay_one_segment_of_a_path(bench: Bench) -> None:
    """Every text in a true webhook, replaced by somebody's syntax."""
    from .lookups import IDS

    _heard_of(bench)
    hook = bench.pg.hooks[0]
    plain = {n: v for n, v in headers_of(hook).items() if n in PLAIN}
    for text in IDS:
        for body in _with_each_text(hook.body, text):
            mark = bench.mark
            told = bench.ask("receive", plain, body)
            expect(told.error is None or isinstance(told.error, PaygateError), f"{text[:30]!r} in a webhook: it {told}")
            for sent in bench.sent(mark):
                expect(not {".", ".."} & set(sent.call.path.split("/")), f"{text!r} was sent as {sent.call.path}")
                made = "all=1" in sent.call.query or "//" in sent.call.path
                expect(not made, f"{text!r} became a query or a path")


def _with_each_text(body: bytes, text: str) -> list[bytes]:
    from ..tape import places, put

    try:
        whole = json.loads(body)
    except ValueError:
        return []
    found = [at for at, v in places(whole) if isinstance(v, (str, int)) and not isinstance(v, bool)]
    return [json.dumps(put(whole, at, text)).encode() for at in found]


@check(C.RECEIVE, faces=SYNC)
def reading_a_webhook_is_pure(bench: Bench) -> None:
    """The same bytes at the same time say the same, and nobody is asked."""
    for hook in true_hooks(bench):
        mark = bench.mark
        told = [read(bench, headers_of(hook), hook.body) for _ in range(3)]
        expect(told[0] == told[1] == told[2], "read three times, a webhook says different things")
        bench.silent(mark, "a webhook was only read")


@check(C.RECEIVE, C.CANCEL)
def acts_that_no_webhook_tells_are_admitted_in_the_profile(bench: Bench) -> None:
    """Merchants wait for what never comes; and what does come must not be said to be missing."""
    said = " | ".join(bench.subject.spec.profile.hooks_never_sent.value).lower()
    for act, words, exactly in _acts(bench):
        before = len(bench.pg.hooks)
        try:
            act()
        except NotHere:
            continue
        name = words[0]
        if len(bench.pg.hooks) == before:
            expect(any(w in said for w in words), f"no webhook tells of this act: {name}; the profile admits: {said!r}")
        else:
            denied = bool(exactly) and all(w in said for w in exactly)
            expect(not denied, f"a webhook tells of what is said to be silent: {name}")


def _acts(bench: Bench) -> list[tuple[Callable[[], Any], tuple[str, ...], tuple[str, ...]]]:
    payment = bench.paid()

    def decline() -> None:
        command = bench.charge()
        bench.decline_next()
        bench.ask("charge", command)

    def window(outcome: str) -> None:
        command = bench.pay()
        query = bench.browse(bench.do("pay", command).action, outcome)
        if bench.claims(C.CAPTURE):
            bench.ask("confirm", command.order_id, query)

    acts: list[tuple[Callable[[], Any], tuple[str, ...], tuple[str, ...]]] = [
        (lambda: bench.do("cancel_whole", bench.cancel_whole(payment.order_id)),
         ("cancel", "refund", "given back"), ("cancel by api",))]
    if bench.claims(C.CHARGE):
        acts.append((decline, ("failed", "decline", "failure"), ("failed immediate charge",)))
        acts.append((lambda: bench.do("charge", bench.charge()), ("paid charge", "immediate charges", "success"), ()))
    if bench.claims(C.PAY):
        acts.append((lambda: window("approve"), ("paid window", "first order", "one-off"), ()))
        acts.append((lambda: window("close"), ("closed", "abandon", "lost window", "page"), ()))
    return acts
