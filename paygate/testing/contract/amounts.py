"""Amounts and order ids for checks, made for the provider at hand: of its currencies, limits and alphabet.

Nothing here knows a PG. An amount never ends in 1 or 2 minor units, with which FakePG is told to decline or to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ...capability import Profile
from ...commands import ORDER_ID
from ...money import Money

SHORT, LONG = range(2, 9), range(8, 11)
"""How many digits the amounts have on which arithmetic is tried, in minor units."""


@cache
def tricky(digits: int) -> int:
    """An amount of so many digits that loses a unit on its way through binary fractions, as 0.29 does."""
    start = 3 * 10 ** (digits - 1) + 10 ** (digits - 1) // 7
    return next(n for n in range(start, 10 ** digits) if int(n / 100 * 100) != n and n % 10 not in (1, 2))


def moneys(profile: Profile, *, few: bool = False) -> Iterator[Money]:
    """Amounts of every declared currency, small and large, that the PG takes; `few` of them are three of each."""
    amounts = [29, 115, 1_999, 113_610, *map(tricky, SHORT), *(9_758_643_579 // 10 ** (10 - d) for d in LONG)]
    for currency in profile.currencies.value:
        here = sorted({a for a in amounts if takes(profile, Money(a, currency))})
        yield from (Money(a, currency) for a in ({here[0], here[len(here) // 2], here[-1]} if few and here else here))


def takes(profile: Profile, money: Money) -> bool:
    """Whether an amount lies within the declared limits."""
    least, most = profile.minimum.value, profile.maximum.value
    return not (least is not None and least.currency == money.currency and money < least) and not (
        most is not None and most.currency == money.currency and money > most)


def another(profile: Profile, money: Money, number: int) -> Money:
    """Another amount of about that size, ending alike; each `number` is one of its own."""
    step = max(10, money.amount // 140 * 10) * number
    more = Money(money.amount + step, money.currency)
    return more if takes(profile, more) or money.amount <= step else Money(money.amount - step, money.currency)


def order_id(profile: Profile, word: str, number: int) -> str | None:
    """An order id that the declared pattern takes, as telling as it can be; None where none was found."""
    pattern = re.compile(profile.order_id_pattern.value)
    plain = [f"kit-{word}-{number}", f"kit_{word}_{number}", f"kit{word}{number}", f"kit{word}{number:04}",
             f"KIT{word.upper()}{number:04}"]
    bare = [f"{letter}{number:0{length}}" for letter in ("", "k", "K") for length in range(1, 40)]
    return next((id for id in (*plain, *bare) if ORDER_ID.fullmatch(id) and pattern.fullmatch(id)), None)
