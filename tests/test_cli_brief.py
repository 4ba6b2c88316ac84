"""Commands and results in one line, as `paygate demo` shows them."""

from __future__ import annotations

from paygate import Interval, Money, Subscribe, Terms
from paygate.cli.brief import brief


def test_terms_are_shown_where_they_were_asked_for_and_not_where_the_pg_has_its_own() -> None:
    asked = {"order_id": "tea-1", "money": Money(9_900, "KRW"), "every": Interval("month"), "title": "Tea",
             "return_url": "https://shop.example/back"}
    assert "terms" not in brief(Subscribe(**asked))
    assert "terms=Terms(zone=UTC)" in brief(Subscribe(**asked, terms=Terms(zone="UTC")))
