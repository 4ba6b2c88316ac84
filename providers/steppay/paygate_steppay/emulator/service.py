"""The two emulators. It is one PG on one host, so both serve every path; they differ in name, settings and defaults.

What they copy, and how certain that is, stands beside each thing: documented (guides, specification), observed
(somebody's code), assumed. Not served: invoices, usages, deliveries and the separate recovery product.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from paygate.testing.asks import Asks
from paygate.testing.emulator import Call, Emulator, FaultKind, VirtualClock
from paygate.testing.overview import Overview
from paygate.testing.pages import PREFIX, STANDIN
from paygate.testing.story import Story
from paygate.wire import Response

from . import catalog, hooks, hosted, lies, routes, story, words
from .asks import asks
from .controls import Controls
from .ids import Ids, letters
from .overview import overview
from .pg import Pg
from .reading import Rejected
from .switches import Switches


class _StepPay(Emulator):
    """One StepPay merchant: one token, one product to sell under, any number of customers."""

    decline_reasons = words.DECLINE_REASONS
    _managed: bool

    def __init__(self, clock: VirtualClock | None = None, switches: Switches | None = None) -> None:
        super().__init__(clock)
        self.switches = switches or Switches(hooks=("v2",) if self._managed else ("v1",))
        self._keys = 0
        self.pg = Pg(self, self.switches, Ids(self.name, lambda: self.salt),
                     token=f"test_{letters(f'{self.name}/token', 32)}",
                     payment_key=f"test_{letters(f'{self.name}/payment key', 24)}", webhook_keys=[])
        self.pg.webhook_keys.append(self._webhook_key())
        self.pg.flush = lambda: hooks.flush(self.pg)
        self.product = catalog.add(self.pg, name="Sandbox product")

    def _webhook_key(self) -> str:
        self._keys += 1
        return f"whk_{letters(f'{self.name}/webhook/{self._keys}', 32)}"

    def answer(self, call: Call) -> Response:
        try:
            if call.path.startswith(PREFIX):
                return hosted.answer(self.pg, call)
            return routes.answer(self.pg, call)
        except Rejected as no:
            return self.pg.error(no.status, no.code, no.message)
        finally:
            self.pg.flush()

    def overview(self, most: int = 200) -> Overview:
        return overview(self.pg, most)

    def controls(self) -> dict[str, Callable[..., Any]]:
        return Controls(self.pg, managed=self._managed, webhook_key=self._webhook_key).all()

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        return story.browse(self.answer, self.controls(), action, outcome)

    def asks(self, call: Call) -> Asks:
        return asks(call)

    def sign_hooks(self) -> None:
        self.switches.set("hooks", ("v2",))

    def unauthorized(self) -> Response:
        return self.pg.error(self.switches.unauthorized_status, "FORBIDDEN", "the token is missing or not valid")

    def too_many(self) -> Response:
        no = self.pg.error(429, "TOO_MANY_REQUESTS", "too many requests")
        return evolve(no, headers={**no.headers, "retry-after": "1"})

    def lie(self, kind: FaultKind, call: Call, truth: Response) -> Response:
        if truth.status >= 300 or not truth.body.startswith(b"{"):
            return truth
        return self.pg.reply(lies.tell(kind, json.loads(truth.body)), truth.status)


class ManagedEmulator(_StepPay):
    """StepPay as a 관리형 merchant meets it: orders, a hosted page, subscriptions, signed webhooks."""

    name = "steppay-managed"
    endpoints = tuple(f"{method} {path}" for method, path in routes.ROUTES if not path.startswith(routes.UNMANAGED))
    page_settings = (("link_origin", ""),)
    _managed = True

    def settings(self) -> dict[str, Any]:
        return {"secret_token": self.pg.token, "product_code": self.product.code, "mode": "test",
                "webhook_keys": list(self.pg.webhook_keys)}

    def story(self) -> Story:
        return story.managed()


class UnmanagedEmulator(_StepPay):
    """StepPay as a 비관리형 merchant meets it: a browser script, idKeys, webhooks V1 unless V2 is switched on."""

    name = "steppay-unmanaged"
    endpoints = tuple(f"{method} {path}" for method, path in routes.ROUTES if path.startswith(routes.UNMANAGED))
    page_settings = (("script_url", STANDIN),)
    _managed = False

    def settings(self) -> dict[str, Any]:
        return {"secret_token": self.pg.token, "payment_key": self.pg.payment_key, "payment_gateway": "NICE",
                "mode": "test", "webhook_keys": list(self.pg.webhook_keys)}

    def story(self) -> Story:
        return story.unmanaged()
