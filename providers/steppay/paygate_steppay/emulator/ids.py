"""Ids as StepPay makes them, but the same for the same salt: counters, and digests of them."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from attrs import define, field

_ALPHABET = string.ascii_letters + string.digits
_FIRST = {"customer": 242_001, "product": 6_001, "price": 10_001, "order": 183_001, "order_item": 208_001,
          "payment": 551_001, "subscription": 31_001, "subscription_item": 41_001, "method": 9_001}


def letters(seed: str, length: int) -> str:
    """`length` letters and digits that depend on `seed` alone."""
    return "".join(_ALPHABET[b % len(_ALPHABET)] for b in sha256(seed.encode()).digest()[:length])


@define
class Ids:
    """One emulator's ids. `name` keeps two emulators' ids apart, `salt` (where there is one) two runs' of one."""

    name: str
    salt: Callable[[], str] = str
    _given: Counter[str] = field(factory=Counter)

    def number(self, kind: str) -> int:
        """The next int64 id of this kind."""
        self._given[kind] += 1
        return self._offset() + _FIRST.get(kind, 1) + self._given[kind] - 1

    def _offset(self) -> int:
        """Where a salted run's numbers begin: far from any other's, and below 2**53, which every JSON reader keeps."""
        salt = self.salt()
        return int.from_bytes(sha256(salt.encode()).digest()[:4]) * 1_000_000 if salt else 0

    def code(self, kind: str, number: int) -> str:
        """`order_` and nine letters or digits (documented samples)."""
        return f"{kind}_{letters(f'{self.name}{self.salt()}/{kind}/{number}', 9)}"

    def id_key(self, now: datetime) -> str:
        """13 digits of epoch milliseconds and 16 letters or digits (assumed: every published sample has this form)."""
        milliseconds = int(now.timestamp() * 1000)
        count = self.number("key")
        return f"{milliseconds:013d}{letters(f'{self.name}{self.salt()}/key/{count}', 16)}"

    def uuid(self, kind: str, number: int) -> str:
        """A UUID."""
        return str(UUID(bytes=sha256(f"{self.name}{self.salt()}/{kind}/{number}".encode()).digest()[:16], version=4))
