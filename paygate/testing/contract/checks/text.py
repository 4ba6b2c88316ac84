"""Text and ids: what a merchant writes arrives as it is, or is refused before anything is sent."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from attrs import evolve, frozen

from ....capability import Capability
from ....commands import ORDER_ID
from ....errors import BadCommand, PaygateError, Unsupported
from ....money import Money
from ..bench import Bench
from ..origins import SLACK_S
from ..registry import SYNC, check
from ..told import NotHere, Told, expect

C = Capability
MARK = "Kanari"
TITLES = {
    "hangul": "슬림 요금제 (1개월)", "decomposed_hangul": unicodedata.normalize("NFD", "커피 한 잔"),
    "emoji": "🍵 tea 🧉",
    "quotes": "a \"b\" 'c' `d` \\ / ", "markup": "<script>alert(1)</script>&amp;",
    "format": "{0} %s %00 ${x} #{y}",
    "right_to_left": "שלום \u202eabc\u202c", "json": '{"amount": 1}', "form": "a=1&amount=1;b",
    "wide": "ｔｅａ　１２３",
    "zero_width": "te\u200ba", "accents": "Crème brûlée ñ", "digits": "0001",
}
REASONS = {"hangul": "고객 변심", "quotes": "he said \"no\" \\ 'never'", "markup": "<b>late</b>&",
           "form": "a=1&amount=0"}


def _sent_texts(bench: Bench, mark: int, action: Any) -> Iterator[str]:
    """Every text that left, in a body or to the payer's browser."""
    for sent in bench.sent(mark):
        try:
            yield from _texts(json.loads(sent.call.body))
        except ValueError:
            yield sent.call.body.decode("utf-8", "replace")
    if action is not None:
        yield from _texts(json.loads(json.dumps(action.to_dict(), default=str)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


@frozen
class Maker:
    """How a new order is asked for: by a command of its own, or, dated, as the one item of a Schedule."""

    verb: str
    make: Callable[..., Any]

    def changed(self, command: Any, **changes: Any) -> Any:
        """The same command with fields of its order changed."""
        if self.verb != "schedule":
            return evolve(command, **changes)
        return evolve(command, charges=[evolve(command.charges[0], **changes)])

    def fresh(self, **changes: Any) -> Any:
        """A command under a fresh order id."""
        return self.changed(self.make(), **changes)

    def order(self, command: Any) -> Any:
        """What bears the order's id, title and amount."""
        return command.charges[0] if self.verb == "schedule" else command

    def told(self, value: Any) -> Any:
        """What was told of the order."""
        return value[0] if self.verb == "schedule" else value


def _makers(bench: Bench) -> list[Maker]:
    return [Maker(verb, make) for verb, needs, make in (
        ("charge", C.CHARGE, bench.charge), ("pay", C.PAY, bench.pay), ("register", C.REGISTER, bench.register),
        ("subscribe", C.SUBSCRIBE, bench.subscribe),
        ("schedule", C.SCHEDULE, lambda: bench.schedule(bench.clock.now() + timedelta(days=2))))
        if bench.claims(needs)]


def _refused(bench: Bench, told: Told, mark: int, what: str) -> bool:
    """Whether it was refused as a bad command; then nothing may have left."""
    if not isinstance(told.error, (BadCommand, Unsupported)):
        return False
    bench.silent(mark, f"{what} was refused")
    return True


@check(cases=tuple(TITLES), faces=SYNC)
def a_title_arrives_as_it_was_written_or_is_refused(bench: Bench, case: str) -> None:
    """Not cut, not escaped, not normalised."""
    limit = bench.subject.spec.profile.title_limit.value
    title = f"{MARK} {TITLES[case]}"[:limit].strip()
    for by in _makers(bench):
        verb, command = by.verb, by.fresh(title=title)
        mark, since = bench.mark, len(bench.journal)
        told = bench.ask(verb, command)
        if _refused(bench, told, mark, f"a title with {case}"):
            continue
        value = by.told(told.expected(f"{verb} with a title with {case}"))
        for text in _sent_texts(bench, mark, getattr(value, "action", None)):
            expect(MARK not in text or title in text or title in json.dumps(text, ensure_ascii=False),
                   f"the title {title!r} was sent as {text!r}")
        expect(verb != "charge" or bench.taken(since) == command.money.amount, "a title changed the amount")


@check(faces=SYNC)
def the_longest_title_that_is_declared_is_taken_and_a_longer_one_is_not(bench: Bench) -> None:
    """The profile's title_limit, both ways."""
    limit = bench.subject.spec.profile.title_limit.value
    for by in _makers(bench):
        verb = by.verb
        told = bench.ask(verb, by.fresh(title="t" * min(limit, 200)))
        told.expected(f"{verb} with a title of {limit} characters")
        if limit >= 200:
            continue
        command, mark = by.fresh(title="t" * (limit + 1)), bench.mark
        told = bench.ask(verb, command)
        expect(isinstance(told.error, BadCommand), f"a title of {limit + 1} characters: {verb} {told}")
        bench.silent(mark, "a title that is too long was refused")


@check(faces=SYNC)
def order_ids_of_the_declared_pattern_are_taken_and_others_are_not(bench: Bench) -> None:
    """The longest, the shortest and the oddest that the core allows, both ways, and none is changed on its way."""
    pattern = re.compile(bench.subject.spec.profile.order_id_pattern.value)
    ids = ("a" * 40, "Z-9_" * 10, "0", "-", "_a", "A1b2", "x" * 33, "x" * 21, "kit-" + "9" * 30)
    for by, letter in zip(_makers(bench), "cprst", strict=False):
        for given in ids:
            if not ORDER_ID.fullmatch(given):
                continue
            order_id = given[:39] + letter if len(given) == 40 else given + letter
            command, verb = by.fresh(order_id=order_id), by.verb
            mark, since = bench.mark, len(bench.journal)
            told = bench.ask(verb, command)
            if not pattern.fullmatch(order_id):
                expect(isinstance(told.error, BadCommand), f"{order_id} does not fit the pattern; it {told}")
                bench.silent(mark, "the id was refused")
                continue
            value = by.told(told.expected(f"{verb} under the order id {order_id}, which fits the declared pattern,"))
            expect(value.order_id == order_id, f"{order_id} is told as {value.order_id}")
            if verb == "schedule":
                bench.clock.advance(2 * 86_400 + SLACK_S)
            if verb in ("charge", "schedule") and bench.claims(C.FIND):
                expect({m.order_id for m in bench.journal[since:]} == {order_id}, "the PG has another order id")


@check(C.CANCEL, C.CANCEL_PARTLY, cases=tuple(REASONS), faces=SYNC)
def a_reason_of_any_kind_changes_nothing_about_a_refund(bench: Bench, case: str) -> None:
    """It is text, and no part of the amount."""
    payment = bench.paid()
    since = len(bench.journal)
    amount = payment.money.amount // 14
    bench.do("cancel", bench.cancel(payment.order_id, amount, reason=REASONS[case]))
    expect(bench.given_back(since) == amount, f"{amount} were to be given back: {bench.given_back(since)}")


@check(faces=SYNC)
def an_extra_field_that_nobody_knows_is_refused_and_another_providers_is_ignored(bench: Bench) -> None:
    """A misspelt field would otherwise be lost without a word; and none replaces an amount or an id."""
    for by in _makers(bench):
        verb, command = by.verb, by.fresh()
        extra = by.order(command).extra
        mine = dict(extra.get(bench.subject.name, {}))
        for name in ("zz_unknown", "amount", "order_id", "currency"):
            wrong = by.changed(command, extra={bench.subject.name: {**mine, name: 1}})
            mark = bench.mark
            told = bench.ask(verb, wrong)
            expect(isinstance(told.error, BadCommand), f"extra with the field {name}: {verb} {told}")
            bench.silent(mark, "an extra field was refused")
        other = by.changed(command, extra={**extra, "another-gateway": {"anything": 1}})
        bench.ask(verb, other).expected(f"{verb} with extra fields of another provider")


@check(faces=SYNC)
def a_tax_free_part_is_told_to_the_pg_and_changes_no_amount_or_it_is_refused(bench: Bench) -> None:
    """Left out without a word, it is a wrong tax return; put on top or taken off, it is a wrong price."""
    for by in _makers(bench):
        command, verb = by.fresh(), by.verb
        order = by.order(command)
        if not hasattr(order, "tax_free"):
            continue
        part = Money(order.money.amount // 3 + 4, order.money.currency)
        mark, since = bench.mark, len(bench.journal)
        told = bench.ask(verb, by.changed(command, tax_free=part))
        if _refused(bench, told, mark, "tax_free"):
            continue
        value = by.told(told.expected(f"{verb} with a tax-free part"))
        action = getattr(value, "action", None)
        said = "".join(s.call.body.decode("utf-8", "replace") + s.call.target for s in bench.sent(mark))
        said += "" if action is None else json.dumps(action.to_dict(), default=str)
        expect(any(text in said for text in (str(part.amount), str(part.decimal))),
               f"{verb} with a tax-free part of {part} was taken, and the PG was never told")
        if verb == "pay":
            value = bench.do("confirm", order.order_id, bench.browse(action))
        if verb == "schedule":
            bench.clock.advance(2 * 86_400 + SLACK_S)
        taken = [m.money for m in bench.journal[since:]]
        expect(taken == [order.money], f"{verb} of {order.money}, of which {part} free of tax: the PG took {taken}")
        expect(value.money == order.money, f"{verb} of {order.money} with a tax-free part is told as {value}")


@check(faces=SYNC)
def amounts_travel_as_whole_numbers(bench: Bench) -> None:
    """Never as binary fractions, where the currency has none."""
    from ....money import EXPONENT

    if EXPONENT[bench.currency] != 0:
        raise NotHere("the story's currency has decimals")
    payment = None
    for by in _makers(bench):
        told = bench.ask(by.verb, by.fresh(money=bench.another_money(3)))
        payment = told.value if by.verb == "charge" else payment
    if payment is not None and bench.claims(C.CANCEL, C.CANCEL_PARTLY):
        bench.ask("cancel", bench.cancel(payment.order_id, payment.money.amount // 14))
    for sent in bench.sent():
        try:
            json.loads(sent.call.body, parse_float=_no_float)
        except ValueError:
            continue
        except _Float as found:
            expect(False, f"{sent.line} was sent a number with a point: {found}")


class _Float(Exception):
    pass


def _no_float(text: str) -> float:
    raise _Float(text)


@check(faces=SYNC)
def checking_a_command_sends_nothing_and_raises_only_setup_errors(bench: Bench) -> None:
    """`check` is asked before anything is written down."""
    for by in _makers(bench):
        good, verb = by.fresh(), by.verb
        odd = by.changed(good, extra={bench.subject.name: {"zz": object()}})
        for command in (good, odd, by.changed(good, title="x" * 200)):
            mark = bench.mark
            try:
                bench.provider.check(command)
            except (BadCommand, Unsupported):
                pass
            except PaygateError as error:
                expect(False, f"check of {verb} raised {type(error).__name__}")
            except Exception as error:
                expect(False, f"check of {verb} crashed with {type(error).__name__}")
            bench.silent(mark, "a command was only checked")
