"""A PG as values: `Call` in, `Answer` out, on a clock that is turned by hand, with a journal of the money it moved.

A provider's package subclasses `Emulator` for its PG. The core wraps it once: as an HTTP transport for tests
(`paygate.testing.transport`), as an ASGI application and as the sandbox's server.
Nothing here opens a socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import Any

from attrs import define, evolve, field, frozen

from ..model import DeclineReason
from ..money import Money
from ..wire import Response
from . import pages
from .asks import Asks
from .overview import Overview
from .story import Story
from .virtual_clock import VirtualClock as VirtualClock


@frozen
class Call:
    """An HTTP request as it arrives. `target` is the raw path with its query; header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@frozen
class Broken:
    """No complete answer: the connection is refused, dropped, reset, left hanging, or cut after part of `response`."""

    how: str
    response: Response | None = None


Answer = Response | Broken


@frozen(kw_only=True)
class Movement:
    """Money that the PG really moved. `amount` is positive for a charge, negative for a refund."""

    at: datetime
    order_id: str
    provider_id: str
    money: Money
    kind: str
    """"charge" or "refund"."""


@define
class Journal:
    """The PG's own record of money moved, which no client can write to."""

    entries: list[Movement] = field(factory=list)

    def taken(self, order_id: str) -> int:
        """Minor units charged under `order_id`, before refunds."""
        return sum(m.money.amount for m in self.entries if m.order_id == order_id and m.kind == "charge")

    def given_back(self, order_id: str) -> int:
        """Minor units refunded under `order_id`."""
        return sum(m.money.amount for m in self.entries if m.order_id == order_id and m.kind == "refund")

    def charges(self, order_id: str) -> int:
        """How many times money was taken under `order_id`."""
        return sum(1 for m in self.entries if m.order_id == order_id and m.kind == "charge")


class FaultKind(StrEnum):
    """What can be made to go wrong with one call. *before*: the PG did nothing; *after*: it did everything."""

    REFUSE = "refuse"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    LATE = "late"
    ERROR_500_BEFORE = "error_500_before"
    ERROR_500_AFTER = "error_500_after"
    BAD_GATEWAY_BEFORE = "bad_gateway_before"
    BAD_GATEWAY_AFTER = "bad_gateway_after"
    HTML_BEFORE = "html_before"
    HTML_AFTER = "html_after"
    TRUNCATE_AFTER = "truncate_after"
    BAD_UTF8_AFTER = "bad_utf8_after"
    DEEP_JSON_AFTER = "deep_json_after"
    DUPLICATE_KEYS_AFTER = "duplicate_keys_after"
    NOT_A_NUMBER_AFTER = "not_a_number_after"
    HUGE_AFTER = "huge_after"
    EMPTY_AFTER = "empty_after"
    REDIRECT_BEFORE = "redirect_before"
    UNAUTHORIZED = "unauthorized"
    TOO_MANY = "too_many"
    LIE_FAILED = "lie_failed"
    WRONG_ORDER = "wrong_order"
    WRONG_AMOUNT = "wrong_amount"


@define
class Fault:
    """Make the next `times` calls whose "METHOD /path" matches the regular expression `on` go wrong.

    ".*" means every call to the API; the payer's pages go wrong only where `on` says more than that.
    """

    kind: FaultKind = field(converter=FaultKind)
    on: str = ".*"
    times: int = 1
    number: int = field(factory=count(1).__next__, eq=False)

    def fits(self, call: Call) -> bool:
        if self.on == ".*" and call.path.startswith(pages.PREFIX):
            return False
        return self.times > 0 and re.search(self.on, f"{call.method} {call.path}") is not None


@frozen(kw_only=True)
class Hook:
    """A webhook the PG sends. `url` is empty where the merchant registered none."""

    at: datetime
    url: str
    headers: Mapping[str, str]
    body: bytes


def json_response(status: int, body: bytes) -> Response:
    """A JSON answer."""
    return Response(status, {"content-type": "application/json; charset=utf-8"}, body)


_HTML = Response(200, {"content-type": "text/html"}, b"<html><body>maintenance</body></html>")
_AFTER_BODIES = {
    FaultKind.BAD_UTF8_AFTER: b'{"code": 0, "message": "\xff\xfe"}',
    FaultKind.DEEP_JSON_AFTER: b"[" * 100_000,
    FaultKind.DUPLICATE_KEYS_AFTER: b'{"code": 0, "code": 0, "response": {}}',
    FaultKind.NOT_A_NUMBER_AFTER: b'{"code": 0, "response": {"amount": NaN}}',
    FaultKind.HUGE_AFTER: b'{"pad": "' + b"x" * (2 << 20) + b'"}',
    FaultKind.EMPTY_AFTER: b"",
}


class Emulator:
    """Base of every PG's emulator. Subclasses implement `answer` (and what they need of the rest).

    `name` is the provider's name. `controls` are what a test or the sandbox may do to the PG beside HTTP: act as the
    payer, issue a key, decide the next charge; each takes and returns JSON-like values.
    """

    name: str
    page_settings: tuple[tuple[str, str], ...] = ()
    """Settings that say where the payer's browser finds this PG's pages and script, and their path on its host."""
    endpoints: Sequence[str] = ()
    """The API's "METHOD /path", each parameter written `{}`, for a person who chooses where a fault is dialled."""
    tells_mode: bool = False
    """Whether this PG's records of payments say if they are of test or live mode."""
    decline_reasons: Mapping[str, DeclineReason] = {"declined": DeclineReason.UNMAPPED}
    """Texts of a decline, for a person who plays the payer to choose from and as the `message` of a control
    `next_charge`; each with what the PG means by it."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.journal = Journal()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        """Every call that arrived, oldest first; at most the last 10,000."""
        self.hooks: list[Hook] = []
        """Every webhook sent, oldest first."""
        self.on_hook: Callable[[Hook], None] | None = None
        """Called for each webhook as it is sent (the sandbox delivers it)."""
        self.salt = ""
        """Mixed into the ids that are given out from now on; empty: the same ids in every run. A sandbox sets it, since
        a ledger outlives it, and a PG never gives one id twice."""

    # What a PG's emulator says of itself

    def answer(self, call: Call) -> Response:
        """Answer as the PG would, and do what it would do. Never raises for anything a client can send."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Settings with which a merchant reaches this emulator: test credentials, `mode` "test"."""
        raise NotImplementedError

    def controls(self) -> dict[str, Callable[..., Any]]:
        """Control calls by name; keyword arguments in, JSON-like values out; ValueError for a bad one."""
        return {}

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        """Be the payer's browser: do what a `Checkout.action` (as `to_dict()`) says, then "approve", "decline" or
        "close". Returns the query that comes back to the merchant's return_url.

        Raises: ValueError for an action that is not this PG's, or another outcome.
        """
        raise NotImplementedError

    def story(self) -> Story:
        """Example commands for this PG."""
        raise NotImplementedError

    def overview(self, most: int = 200) -> Overview:
        """What it holds now, for a person to look at: `most` of each."""
        return Overview()

    def asks(self, call: Call) -> Asks:
        """What a call asks for, so that a simulation can judge what was sent twice; changes nothing."""
        return Asks(kind="look" if call.method == "GET" else "other")

    def lie(self, kind: FaultKind, call: Call, truth: Response) -> Response:
        """The answer to give where the PG did what was asked but says something else (LIE_FAILED, WRONG_…)."""
        return truth

    def sign_hooks(self) -> None:
        """Sign the webhooks from now on, where the PG sends signed and unsigned ones."""

    def unauthorized(self) -> Response:
        """The PG's answer to a token it does not accept."""
        return json_response(401, b"{}")

    def too_many(self) -> Response:
        """The PG's answer to more requests than it takes."""
        return Response(429, {"retry-after": "1", "content-type": "application/json"}, b"{}")

    # What every emulator does alike

    def fault(self, kind: FaultKind | str, on: str = ".*", times: int = 1) -> None:
        """Make the next `times` matching calls go wrong (see `Fault`)."""
        self.faults.append(Fault(FaultKind(kind), on, times))

    def move(self, kind: str, order_id: str, provider_id: str, money: Money) -> None:
        """Write a movement of money to the journal."""
        self.journal.entries.append(Movement(at=self.clock.now(), order_id=order_id, provider_id=provider_id,
                                             money=money, kind=kind))

    def send_hook(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a webhook now."""
        hook = Hook(at=self.clock.now(), url=url, headers=headers, body=body)
        self.hooks.append(hook)
        if self.on_hook is not None:
            self.on_hook(hook)

    def handle(self, call: Call) -> Answer:
        """Take a call: apply a fault if one is dialled, else answer."""
        self.clock.run_due()
        self.calls.append(call)
        del self.calls[:-10_000]
        for fault in self.faults:
            if fault.fits(call):
                fault.times -= 1
                self.faults = [f for f in self.faults if f.times > 0]
                return self._faulty(fault.kind, call)
        return self._whole(call)

    def _whole(self, call: Call) -> Response:
        asset = pages.asset(call.path) if call.method in ("GET", "HEAD") else None
        return asset or self.answer(call)

    def _faulty(self, kind: FaultKind, call: Call) -> Answer:
        match kind:
            case FaultKind.REFUSE | FaultKind.DROP_BEFORE | FaultKind.RESET_BEFORE | FaultKind.HANG_BEFORE:
                return Broken(kind.value.partition("_")[0])
            case FaultKind.LATE:
                self.clock.at(self.clock.now() + timedelta(seconds=70), lambda: self._later(call))
                return Broken("hang")
            case FaultKind.ERROR_500_BEFORE:
                return json_response(500, b'{"message":"internal"}')
            case FaultKind.BAD_GATEWAY_BEFORE:
                return evolve(_HTML, status=502)
            case FaultKind.HTML_BEFORE:
                return _HTML
            case FaultKind.REDIRECT_BEFORE:
                return Response(307, {"location": "http://127.0.0.1:1/elsewhere"}, b"")
            case FaultKind.UNAUTHORIZED:
                return self.unauthorized()
            case FaultKind.TOO_MANY:
                return self.too_many()
        truth = self._whole(call)
        match kind:
            case FaultKind.DROP_AFTER | FaultKind.RESET_AFTER | FaultKind.HANG_AFTER:
                return Broken(kind.value.partition("_")[0])
            case FaultKind.ERROR_500_AFTER:
                return json_response(500, b'{"message":"internal"}')
            case FaultKind.BAD_GATEWAY_AFTER:
                return evolve(_HTML, status=502)
            case FaultKind.HTML_AFTER:
                return _HTML
            case FaultKind.TRUNCATE_AFTER:
                return Broken("truncate", truth)
        if kind in _AFTER_BODIES:
            return json_response(200, _AFTER_BODIES[kind])
        return truth if call.path.startswith(pages.PREFIX) else self.lie(kind, call, truth)

    def _later(self, call: Call) -> None:
        self.answer(call)
