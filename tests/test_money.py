"""Money: whole minor units, no float in or out, no currency left unsaid."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import BadCommand, Money
from paygate.money import EXPONENT, LIMIT

AMOUNTS = st.integers(0, LIMIT)
CURRENCIES = st.sampled_from(sorted(EXPONENT))
SAMPLE = {"KRW": 0, "JPY": 0, "USD": 2, "KWD": 3, "CLF": 4}


@pytest.mark.parametrize("amount", [True, False, 1.0, float("nan"), float("inf"), "1", b"1", None, Decimal(1), 1j, [1]])
def test_only_an_int_is_an_amount(amount: Any) -> None:
    with pytest.raises(BadCommand):
        Money(amount, "KRW")


@pytest.mark.parametrize("amount", [-1, LIMIT + 1, 10**4000, -(10**4000)], ids=["negative", "limit", "huge", "deep"])
def test_an_amount_lies_between_zero_and_the_limit(amount: int) -> None:
    with pytest.raises(BadCommand):
        Money(amount, "KRW")


@pytest.mark.parametrize("amount", [0, 1, LIMIT])
def test_zero_and_the_limit_are_amounts(amount: int) -> None:
    assert Money(amount, "KRW").amount == amount


class _Text(str):
    """A subclass that might say one thing and be another."""


@pytest.mark.parametrize("currency", ["krw", "", "XXX", "KRW ", "₩", None, 410, b"KRW", "KR\x00", _Text("KRW")])
def test_only_a_known_code_in_capitals_is_a_currency(currency: Any) -> None:
    with pytest.raises(BadCommand):
        Money(1, currency)


def test_a_currency_has_to_be_stated() -> None:
    with pytest.raises(TypeError):
        Money(1)  # type: ignore[call-arg]


def test_what_is_refused_is_a_value_error_that_says_no_money_moved() -> None:
    with pytest.raises(ValueError, match="minor units") as caught:
        Money(-1, "KRW")
    assert isinstance(caught.value, BadCommand)
    assert caught.value.moved is False


@pytest.mark.parametrize(("currency", "digits"), SAMPLE.items())
def test_each_currency_has_its_own_minor_unit(currency: str, digits: int) -> None:
    assert EXPONENT[currency] == digits
    assert Money.parse("1", currency) == Money(10**digits, currency)


@pytest.mark.parametrize("number", ["10000", 10000, "10000.0", "1e4", "1E+4", Decimal("1.0E4"), "10000.", "+10000"])
def test_the_same_number_in_any_spelling_is_the_same_money(number: Any) -> None:
    assert Money.parse(number, "KRW") == Money(10_000, "KRW")


@pytest.mark.parametrize("number", [
    "", " ", "abc", "1,000", "NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e400", "1e-400", "1" * 41, "0x10", "1 2",
    "\u0661", "１", "0.5", "1\x00", 1.5, 1.0, True, None, b"1", Decimal("NaN"), Decimal("Infinity"), Decimal("-1"),
    Decimal("1e999999"), 10**30,
])
def test_what_is_no_amount_of_won_is_not_read_as_one(number: Any) -> None:
    with pytest.raises(BadCommand):
        Money.parse(number, "KRW")


@pytest.mark.parametrize(("currency", "number"), [("KRW", "0.1"), ("USD", "0.001"), ("KWD", "0.0001"),
                                                  ("CLF", "0.00001")])
def test_more_decimals_than_the_currency_has_are_refused_never_rounded(currency: str, number: str) -> None:
    with pytest.raises(BadCommand):
        Money.parse(number, currency)


@given(AMOUNTS, CURRENCIES)
@settings(max_examples=200, derandomize=True)
def test_an_amount_survives_being_written_in_major_units_and_read_again(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert Money.parse(money.decimal, currency) == money
    assert Money.parse(str(money.decimal), currency) == money


@given(st.text(max_size=50))
@settings(max_examples=300, derandomize=True)
def test_reading_any_text_gives_money_or_a_refusal_and_nothing_else(text: str) -> None:
    try:
        assert 0 <= Money.parse(text, "USD").amount <= LIMIT
    except BadCommand:
        pass


@given(AMOUNTS, AMOUNTS)
@settings(max_examples=100, derandomize=True)
def test_sums_and_differences_are_exact_or_refused(a: int, b: int) -> None:
    one, other = Money(a, "KRW"), Money(b, "KRW")
    if a + b <= LIMIT:
        assert (one + other).amount == a + b
        assert one + other - other == one
    else:
        with pytest.raises(BadCommand):
            one + other
    if a < b:
        with pytest.raises(BadCommand):
            one - other
    assert (one < other, one <= other, one > other, one >= other) == (a < b, a <= b, a > b, a >= b)


@pytest.mark.parametrize("mix", [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a,
    b: a >= b,
])
def test_two_currencies_never_mix(mix: Any) -> None:
    with pytest.raises(BadCommand):
        mix(Money(1, "KRW"), Money(1, "USD"))
    with pytest.raises(TypeError):
        mix(Money(1, "KRW"), 1)


def test_the_same_number_of_another_currency_is_not_equal() -> None:
    assert Money(1, "KRW") != Money(1, "USD")
    assert Money(1, "KRW") != 1


@given(AMOUNTS, st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any))
@settings(max_examples=200, derandomize=True)
def test_the_parts_of_an_allocation_sum_exactly_and_nobody_without_weight_gets_any(amount: int,
                                                                                   weights: list[int]) -> None:
    parts = Money(amount, "KRW").allocate(weights)
    assert len(parts) == len(weights)
    assert sum(p.amount for p in parts) == amount
    assert all(p.is_zero for p, w in zip(parts, weights, strict=True) if w == 0)
    fair = [amount * w / sum(weights) for w in weights]
    assert all(abs(p.amount - f) <= 1 or amount > 10**9 for p, f in zip(parts, fair, strict=True))


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [-1, 2], [1.0], [True], ["1"]])
def test_weights_that_say_nothing_are_refused(weights: list[Any]) -> None:
    with pytest.raises(BadCommand):
        Money(10, "KRW").allocate(weights)


def test_money_does_not_change_and_is_the_same_wherever_it_goes() -> None:
    money = Money(14_000, "KRW")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        money.amount = 1  # type: ignore[misc]
    assert {money, Money(14_000, "KRW")} == {money}
    assert copy.deepcopy(money) == money
    assert pickle.loads(pickle.dumps(money)) == money


def test_money_reads_as_people_write_it() -> None:
    assert str(Money(14_000, "KRW")) == "14,000 KRW"
    assert str(Money(1_050, "USD")) == "10.50 USD"
    assert eval(repr(Money(1_050, "USD"))) == Money(1_050, "USD")
