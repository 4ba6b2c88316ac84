"""How a payment at FakePG ends, chosen by the test that asks for it: by the end of its order id, or of its amount.

    …-declined          declined, "no funds"; …-declined-limit_exceeded (any DeclineReason) says another reason
    …-pending           stays pending until `finish`
    …-refused           refused without a record
    …-unknown           paid, but the answer is lost, and for five minutes nobody can ask either
    …-lost              never arrived: the answer is lost, and nothing happened
    …-late              declined, and approved ten minutes later after all

An amount that ends in 1 is declined, one that ends in 2 stays pending. Everything else is paid.
"""

from __future__ import annotations

import re

from attrs import frozen

from ...model import DeclineReason
from .records import REASONS

UNANSWERED_S = 300.0
LATE_S = 600.0
UNMAPPED = "computer says no"
"""A decline in words that stand in no table."""
_WORDS = {reason: words for words, reason in REASONS.items()} | {DeclineReason.UNMAPPED: UNMAPPED}
_END = re.compile(r"-(declined|pending|refused|unknown|lost|late)(?:-([a-z_]+))?$")
_AMOUNTS = {1: "declined", 2: "pending"}
_STATUS = {"declined": "failed", "late": "failed", "pending": "pending"}


@frozen(kw_only=True)
class Outcome:
    """`word` is "paid" or one of the endings; `status` is what the record says; `message` why it was declined."""

    word: str = "paid"
    message: str | None = None

    @property
    def status(self) -> str:
        return _STATUS.get(self.word, "paid")


def outcome(order_id: str, amount: int) -> Outcome:
    """What becomes of a payment of `amount` minor units under `order_id`."""
    found = _END.search(order_id)
    if found is None:
        return Outcome(word=_AMOUNTS.get(amount % 10, "paid"))
    word, reason = found.groups()
    known = {r.value: words for r, words in _WORDS.items()}
    return Outcome(word=word, message=known.get(reason) if word == "declined" and reason else None)
