"""What the shop sells. Prices are here, and nowhere in the browser."""

from __future__ import annotations

from attrs import frozen

from paygate import Interval, Money


@frozen(kw_only=True)
class Product:
    """`every` is None for what is sold once."""

    title: str
    english: str
    money: Money
    every: Interval | None = None


PRODUCTS = {
    "book": Product(title="책 한 권", english="A book", money=Money(14_000, "KRW")),
    "tea": Product(title="차 정기구독", english="Tea, every month", money=Money(9_900, "KRW"), every=Interval("month")),
}
