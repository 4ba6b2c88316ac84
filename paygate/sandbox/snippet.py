"""What a merchant types to use an emulated gateway, to be copied: with its test credentials and address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

LEDGER = "sandbox.db"

PAY = """from paygate import Customer, Money, Pay, new_order_id

checkout = gate.pay(Pay(order_id=new_order_id(), money=Money(14_000, "KRW"), title="Book",
                        return_url="http://127.0.0.1:8000/back",
                        customer=Customer(name="Kim Minji", phone="010-1234-5678", email="minji@example.com")))
print(checkout.action.to_dict())
"""


def connect_call(name: str, settings: Mapping[str, Any], url: str, *, built_in: bool) -> str:
    """The call that connects to the gateway at `url`. `settings` are revealed. A built-in gateway is no plugin, so the
    call hands over its specification instead of its name.
    """
    what = "FAKEPG" if built_in else repr(name)
    lines = ",\n    ".join(f"{key!r}: {value!r}" for key, value in settings.items())
    return f"connect({what}, {{\n    {lines}}},\n    ledger={LEDGER!r}, base_url={url!r})"


def exports(name: str, settings: Mapping[str, Any], url: str) -> str:
    """The same for a shell: what `from_environment` and the `paygate` commands read."""
    said = {"PROVIDER": name, "SETTINGS": json.dumps(settings), "BASE_URL": url, "LEDGER": LEDGER}
    return "\n".join(f"export PAYGATE_{variable}={quote(value)}" for variable, value in said.items())


def imports(*, built_in: bool) -> str:
    """What the call needs to be imported."""
    return "from paygate import connect\n" + ("from paygate.testing.fakepg import FAKEPG\n" if built_in else "")
