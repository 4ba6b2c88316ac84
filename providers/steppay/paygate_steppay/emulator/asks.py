"""What a call asks for, in neutral words, for a judge who counts what was sent twice. Nothing here acts or answers."""

from __future__ import annotations

from urllib.parse import unquote

from paygate.testing.asks import Asks, fields
from paygate.testing.emulator import Call


def asks(call: Call) -> Asks:
    """Read a call's path and JSON body. A call that is none of these moves no money.

    A renewal names no order of ours: its amount is the subscription's own.
    """
    said, parts = fields(call.body), [unquote(p) for p in call.path.strip("/").split("/")]
    amount = said.get("requestPrice")
    match call.method, parts:
        case "POST", ["api", "payment", "billing"]:
            ids = str(said.get("partner", {}).get("partnerOrderId"))
            return Asks(kind="charge", orders=(ids,), amount=said.get("product", {}).get("amount"),
                        key=said.get("idKey"))
        case "POST", ["api", "v1", "subscriptions", number, "renew"]:
            return Asks(kind="charge", key=number)
        case "POST", ["api", *_, "payment", "cancel"]:
            return Asks(kind="refund", provider_id=said.get("idKey"), amount=amount)
        case "PATCH", ["api", "v1", "orders", code, "cancel"]:
            return Asks(kind="refund", provider_id=code, amount=amount, note=said.get("reason"))
        case "GET", ["api", "payment", "receipt", name] | ["api", "v1", "orders", name]:
            return Asks(kind="look", provider_id=name)
        case "GET", _:
            return Asks(kind="look")
    return Asks(kind="other")
