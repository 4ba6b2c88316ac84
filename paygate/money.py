"""Money: whole minor units of a stated currency. No float comes in, none goes out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import total_ordering
from typing import Any

from attrs import field, frozen

from .errors import BadCommand

LIMIT = 10**12
"""The largest amount, in minor units; more is taken for a mistake."""

_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
       "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR "
       "IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN "
       "NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
       "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENT: dict[str, int] = {code: digits for digits, codes in _EXPONENTS.items() for code in codes.split()}
"""Decimal digits of each currency's minor unit (ISO 4217)."""


def _check_amount(_: object, __: object, amount: Any) -> None:
    if type(amount) is not int:
        raise BadCommand(f"an amount is an int of minor units, not {type(amount).__name__}; nothing was sent")
    if not 0 <= amount <= LIMIT:
        raise BadCommand(f"an amount lies between 0 and {LIMIT:,} minor units; nothing was sent")


def _check_currency(_: object, __: object, currency: Any) -> None:
    if type(currency) is not str or currency not in EXPONENT:
        hint = f': write "{currency.upper()}"' if type(currency) is str and currency.upper() in EXPONENT else ""
        raise BadCommand(f"a currency is a three-letter ISO 4217 code in capitals such as KRW{hint}; nothing was sent")


@total_ordering
@frozen(order=False)
class Money:
    """`amount` minor units of `currency`. KRW has no minor unit: `Money(14_000, "KRW")` is 14,000 won.

    Zero is an amount (a balance can be zero); commands refuse it. Negative amounts do not exist.

    Raises: BadCommand (a ValueError) for bool, float, negative, over-large or unknown-currency values.
    """

    amount: int = field(validator=_check_amount)
    currency: str = field(validator=_check_currency)

    @classmethod
    def parse(cls, number: str | int | Decimal, currency: str) -> Money:
        """Read an amount in major units: `"10000"`, `10000`, `"10000.0"`, `"1e4"` are all 10,000 won.

        Raises: BadCommand for a float, for more decimals than the currency has, or for text that is no number.
        """
        if isinstance(number, bool) or not isinstance(number, (str, int, Decimal)):
            raise BadCommand(f"an amount is read from text, int or Decimal, not {type(number).__name__}")
        _check_currency(None, None, currency)
        if isinstance(number, str) and (len(number) > 40 or not number.isascii()):
            raise BadCommand("an amount is a short decimal number")
        try:
            value = Decimal(number)
        except InvalidOperation:
            raise BadCommand("an amount is a decimal number") from None
        if not value.is_finite() or value.adjusted() > 18 or value.adjusted() < -18:
            raise BadCommand("an amount is a finite number of a sensible size")
        minor = value.scaleb(EXPONENT[currency])
        if minor != minor.to_integral_value():
            raise BadCommand(f"{currency} has {EXPONENT[currency]} decimals; the amount has more")
        return cls(int(minor), currency)

    @property
    def decimal(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount).scaleb(-EXPONENT[self.currency])

    @property
    def is_zero(self) -> bool:
        return self.amount == 0

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split in proportion to `weights`; the parts sum to exactly this amount, the first ones take the remainder."""
        if not weights or any(type(w) is not int or w < 0 for w in weights) or sum(weights) == 0:
            raise BadCommand("weights are non-negative ints, at least one above zero")
        total = sum(weights)
        shares = [self.amount * w // total for w in weights]
        takers = [i for i, w in enumerate(weights) if w]
        for i in takers[: self.amount - sum(shares)]:
            shares[i] += 1
        return tuple(Money(s, self.currency) for s in shares)

    def _same(self, other: Money) -> int:
        if not isinstance(other, Money):
            raise TypeError("Money goes with Money only")
        if other.currency != self.currency:
            raise BadCommand(f"{self.currency} and {other.currency} do not mix")
        return other.amount

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __str__(self) -> str:
        return f"{self.decimal:,} {self.currency}"

    def __repr__(self) -> str:
        return f"Money({self.amount:_}, {self.currency!r})"
