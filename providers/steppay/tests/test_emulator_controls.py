"""What a person or a test does to the emulated StepPay beside HTTP, as docs/sandbox.md says it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import fields
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, Switches, UnmanagedEmulator

from paygate.assemble import connect
from paygate.ledger import MemoryLedger
from paygate.model import ClientCall, PaymentStatus, Redirect
from paygate.testing.emulator import Call, Hook
from paygate.testing.transport import EmulatorTransport

SPECS = {spec.name: spec for spec in paygate_providers()}
DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("kind", [ManagedEmulator, UnmanagedEmulator])
def test_the_payer_brings_home_the_query_that_confirm_takes(kind: type[ManagedEmulator | UnmanagedEmulator]) -> None:
    pg = kind()
    do = pg.controls()
    asked = pg.story().pay
    assert asked is not None
    with connect(SPECS[pg.name], pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg),
                 clock=pg.clock) as gate:
        checkout = gate.pay(asked)
        if isinstance(checkout.action, Redirect):
            link = urlsplit(checkout.action.url)
            pg.answer(Call("GET", f"{link.path}?{link.query}"))
            told = do["payer"](order_id=checkout.provider_id)
        else:
            assert isinstance(checkout.action, ClientCall)
            do["open_window"](params=checkout.action.to_dict()["params"])
            told = do["payer"](order_id=asked.order_id)
        assert gate.confirm(asked.order_id, told["query"]).status is PaymentStatus.PAID


def test_an_order_that_is_named_by_our_id_is_asked_for_by_its_code() -> None:
    pg = ManagedEmulator()
    with pytest.raises(ValueError, match=r"name it by checkout\.provider_id"):
        pg.controls()["payer"](order_id="order-1")


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_webhook_address_gets_whatever_is_sent(generation: str) -> None:
    pg = UnmanagedEmulator()
    seen: list[Hook] = []
    pg.on_hook = seen.append
    pg.controls()["set_webhook_url"](url="http://127.0.0.1:9/hook")
    pg.controls()["switch"](name="hooks", value=[generation])
    pg.controls()["issue_key"]()
    assert {hook.url for hook in seen} == {"http://127.0.0.1:9/hook"}


@pytest.mark.parametrize(("name", "value", "says"), [
    ("hooks", "v1", "switch hooks: it takes a list, such as ['v1']"),
    ("hooks", ["v3"], "switch hooks: 'hooks' must be in ('v1', 'v2') (got 'v3')"),
    ("refund_header", "both", "switch refund_header: 'refund_header' must be in")])
def test_a_switch_says_plainly_what_it_takes(name: str, value: object, says: str) -> None:
    with pytest.raises(ValueError) as no:
        UnmanagedEmulator().controls()["switch"](name=name, value=value)
    assert str(no.value).startswith(says)
    assert "Attribute(" not in str(no.value)


def test_each_gateway_lists_the_endpoints_that_its_provider_calls() -> None:
    managed, unmanaged = (set(kind.endpoints) for kind in (ManagedEmulator, UnmanagedEmulator))
    assert unmanaged == {"POST /api/payment/billing", "GET /api/payment/receipt/{}",
                         "POST /api/internal/payment/cancel"}
    assert {"POST /api/v1/orders", "GET /api/public/orders/{}/pay", "POST /api/v1/subscriptions/{}/renew"} <= managed
    assert not managed & unmanaged


@pytest.mark.checkout
def test_the_sandboxs_page_lists_every_switch_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", (DOCS / "sandbox.md").read_text(encoding="utf-8"), re.MULTILINE)
    written = dict(rows)
    for switch in fields(Switches):
        default = getattr(Switches(), switch.name)
        assert written[switch.name] == str(list(default) if isinstance(default, tuple) else default)
