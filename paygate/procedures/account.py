"""One configured account at a PG, as procedures see it: the provider, the clock, the patience."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

from attrs import define, field

from ..capability import Capability, with_vault
from ..clock import Clock, Deadline
from ..commands import Charge, DatedCharge, Pay, Register
from ..errors import BadCommand, Unsupported
from ..ledger.row import Row
from ..model import BillingKey
from ..money import Money
from ..provider import Provider, ProviderSpec
from ..secret import Secret
from ..subscriptions import Renew, Subscribe
from ..vault import Vault
from ..wire import Token
from .steps import Steps

T = TypeVar("T")

_NEW_ORDERS = (Pay, Register, Charge, DatedCharge, Subscribe, Renew)
"""What names an order that the PG does not know yet. Other commands may name one under the PG's own id."""


@define
class TokenShelf:
    """The token in use. A lifetime is measured on the monotonic clock from its receipt, never on two wall clocks."""

    _token: Token | None = field(default=None, repr=False)
    _until: float = 0.0

    def held(self, clock: Clock) -> Token | None:
        """The token, unless it has less than a minute (or a tenth of its life, if that is shorter) to live."""
        return self._token if clock.monotonic() < self._until else None

    def keep(self, token: Token, clock: Clock) -> None:
        """Put a new token on the shelf."""
        self._token = token
        self._until = clock.monotonic() + token.lifetime_s - min(60.0, token.lifetime_s / 10)

    def drop(self) -> None:
        """Forget the token."""
        self._token, self._until = None, 0.0


@define(kw_only=True, eq=False)
class Account:
    """What one gateway is made of, without the doors."""

    name: str
    spec: ProviderSpec
    provider: Provider
    is_test: bool
    clock: Clock
    deadline_s: float
    settle_s: float
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    """The credentials in the settings: should the PG quote one of them, its words are kept without it."""
    vault: Vault | None = None
    """Encrypts what must be kept to charge later; None where nothing is."""
    tokens: TokenShelf = field(factory=TokenShelf)
    doubts: dict[str, float] = field(factory=dict)
    """Until when, on the monotonic clock, absence proves nothing about an id whose doubt this process saw begin."""
    in_flight: set[str] = field(factory=set)
    """Ids this process is sending right now. A wall clock that jumps may end a lease too early; it cannot end this."""
    listens: set[str] = field(factory=set)
    """The kinds of events that an inbox wants to be told of: they are written down before they become true."""

    @property
    def scope(self) -> str:
        """Under what the ledger keeps this account's rows: test and live never meet, even in one file."""
        return f"{self.name}/test" if self.is_test else self.name

    def is_held(self, row: Row) -> bool:
        """Whether a worker is still busy with `row`."""
        return row.id in self.in_flight or (row.lease_until is not None and self.now() < row.lease_until)

    def sending(self, ids: Iterable[str], steps: Steps[T]) -> Steps[T]:
        """Run `steps` with `ids` noted as in flight."""
        held = set(ids)
        self.in_flight |= held
        try:
            return (yield from steps)
        finally:
            self.in_flight -= held

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now().timestamp()

    def deadline(self) -> Deadline:
        """The deadline of a call that starts now."""
        return Deadline.after(self.clock, self.deadline_s)

    def supports(self, capability: Capability) -> bool:
        return capability in self.spec.capabilities

    def offers(self, capability: Capability) -> bool:
        """Whether a merchant may ask for it: the PG does it, or paygate in its place."""
        return self.supports(capability) or (
            self.vault is not None and capability in with_vault(self.spec.capabilities))

    def require(self, *capabilities: Capability) -> None:
        """Raises: Unsupported, before a byte is sent."""
        for capability in capabilities:
            if not self.supports(capability):
                raise Unsupported(f"{self.spec.name} does not offer {capability.value}; nothing was sent")

    def check(self, command: Any) -> None:
        """Refuse what this PG cannot take, before anything is written or sent.

        Raises: BadCommand, Unsupported.
        """
        key = getattr(command, "billing_key", None)
        if isinstance(key, BillingKey) and key.gateway != self.name:
            raise BadCommand(f"the billing key belongs to gateway {key.gateway!r}, not to {self.name!r}; "
                             "nothing was sent")
        for money in self._moneys(command):
            self._check_money(money)
        for order in (command, *getattr(command, "charges", ())):
            if isinstance(order, _NEW_ORDERS):
                self._check_order_id(order.order_id)
                self._check_size(order.money)
        self.provider.check(command)

    @staticmethod
    def _moneys(command: Any) -> list[Money]:
        dated = [charge.money for charge in getattr(command, "charges", ())]
        money = getattr(command, "money", None)
        return dated if money is None else [money, *dated]

    def _check_money(self, money: Money) -> None:
        currencies = self.spec.profile.currencies.value
        if money.currency not in currencies:
            raise BadCommand(f"{self.spec.name} takes {', '.join(currencies)}, not {money.currency}; nothing was sent")

    def _check_size(self, money: Money) -> None:
        most = self.spec.profile.maximum.value
        if most is not None and most.currency == money.currency and money > most:
            raise BadCommand(f"{self.spec.name} takes at most {most}; nothing was sent")

    def _check_order_id(self, order_id: str) -> None:
        pattern = self.spec.profile.order_id_pattern.value
        if not re.fullmatch(pattern, order_id):
            raise BadCommand(f"{self.spec.name} takes order ids like {pattern}, not {order_id}; nothing was sent")
