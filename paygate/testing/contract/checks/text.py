"""Text and ids: what a merchant writes arrives as it is, or is refused before anything is sent."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve

from ....capability import Capability
from ....commands import ORDER_ID
from ....errors import BadCommand, PaygateError, Unsupported
from ....money import Money
from ..bench import Bench
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


def _makers(bench: Bench) -> list[tuple[str, Callable[..., Any]]]:
    return [(verb, make) for verb, needs, make in (("charge", C.CHARGE, bench.charge), ("pay", C.PAY, bench.pay),
                                                   ("register", C.REGISTER, bench.register)) if bench.claims(needs)]


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
    for verb, make in _makers(bench):
        command = make(title=title)
        mark, since = bench.mark, len(bench.journal)
        told = bench.ask(verb, command)
        if _refused(bench, told, mark, f"a title with {case}"):
            continue
        value = told.expected(f"{verb} with a title with {case}")
        for text in _sent_texts(bench, mark, getattr(value, "action", None)):
            expect(MARK not in text or title in text or title in json.dumps(text, ensure_ascii=False),
                   f"the title {title!r} was sent as {text!r}")
        expect(verb != "charge" or bench.taken(since) == command.money.amount, "a title changed the amount")


@check(faces=SYNC)
def the_longest_title_that_is_declared_is_taken_and_a_longer_one_is_not(bench: Bench) -> None:
    """The profile's title_limit, both ways."""
    limit = bench.subject.spec.profile.title_limit.value
    for verb, make in _makers(bench):
        told = bench.ask(verb, make(title="t" * min(limit, 200)))
        told.expected(f"{verb} with a title of {limit} characters")
        if limit >= 200:
            continue
        command, mark = make(title="t" * (limit + 1)), bench.mark
        told = bench.ask(verb, command)
        expect(isinstance(told.error, BadCommand), f"a title of {limit + 1} characters: {verb} {told}")
        bench.silent(mark, "a title that is too long was refused")


@check(faces=SYNC)
def order_ids_of_the_declared_pattern_are_taken_and_others_are_not(bench: Bench) -> None:
    """The longest, the shortest and the oddest that the core allows, both ways, and none is changed on its way."""
    pattern = re.compile(bench.subject.spec.profile.order_id_pattern.value)
    ids = ("a" * 40, "Z-9_" * 10, "0", "-", "_a", "A1b2", "x" * 33, "x" * 21, "kit-" + "9" * 30)
    for verb, make in _makers(bench):
        for order_id in ids:
            if not ORDER_ID.fullmatch(order_id):
                continue
            command = make(order_id=order_id[:39] + verb[0] if len(order_id) == 40 else order_id + verb[0])
            mark, since = bench.mark, len(bench.journal)
            told = bench.ask(verb, command)
            if not pattern.fullmatch(command.order_id):
                expect(isinstance(told.error, BadCommand), f"{command.order_id} does not fit the pattern; it {told}")
                bench.silent(mark, "the id was refused")
                continue
            value = told.expected(f"{verb} under the order id {command.order_id}, which fits the declared pattern,")
            expect(value.order_id == command.order_id, f"{command.order_id} is told as {value.order_id}")
            if verb == "charge" and bench.claims(C.FIND):
                expect({m.order_id for m in bench.journal[since:]} == {command.order_id}, "the PG has another order id")


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
    for verb, make in _makers(bench):
        command = make()
        mine = dict(command.extra.get(bench.subject.name, {}))
        for name in ("zz_unknown", "amount", "order_id", "currency"):
            wrong = evolve(command, extra={bench.subject.name: {**mine, name: 1}})
            mark = bench.mark
            told = bench.ask(verb, wrong)
            expect(isinstance(told.error, BadCommand), f"extra with the field {name}: {verb} {told}")
            bench.silent(mark, "an extra field was refused")
        other = evolve(command, extra={**command.extra, "another-gateway": {"anything": 1}})
        bench.ask(verb, other).expected(f"{verb} with extra fields of another provider")


@check(faces=SYNC)
def a_tax_free_part_is_told_to_the_pg_or_refused(bench: Bench) -> None:
    """Left out without a word, it is a wrong tax return."""
    for verb, make in _makers(bench):
        command = make()
        if not hasattr(command, "tax_free"):
            continue
        part, mark = 1_237, bench.mark
        told = bench.ask(verb, evolve(command, tax_free=Money(part, bench.currency)))
        if _refused(bench, told, mark, "tax_free"):
            continue
        value = told.expected(f"{verb} with a tax-free part")
        said = "".join(s.call.body.decode("utf-8", "replace") + s.call.target for s in bench.sent(mark))
        if getattr(value, "action", None) is not None:
            said += json.dumps(value.action.to_dict(), default=str)
        expect(str(part) in said, f"{verb} with a tax-free part of {part} was taken, and the PG was never told")


@check(faces=SYNC)
def amounts_travel_as_whole_numbers(bench: Bench) -> None:
    """Never as binary fractions, where the currency has none."""
    from ....money import EXPONENT

    if EXPONENT[bench.currency] != 0:
        raise NotHere("the story's currency has decimals")
    payment = None
    for verb, make in _makers(bench):
        told = bench.ask(verb, make(money=bench.won(10_007)))
        payment = told.value if verb == "charge" else payment
    if payment is not None and bench.claims(C.CANCEL, C.CANCEL_PARTLY):
        bench.ask("cancel", bench.cancel(payment.order_id, 1_003))
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
    for verb, make in _makers(bench):
        good = make()
        odd = evolve(good, extra={bench.subject.name: {"zz": object()}})
        for command in (good, odd, evolve(good, title="x" * 200)):
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
