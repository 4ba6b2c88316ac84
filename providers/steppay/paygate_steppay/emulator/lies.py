"""Answers that say something else than what happened: for finding out who compares and who believes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paygate.testing.emulator import FaultKind

_IDS = ("partnerOrderId", "orderCode", "code", "orderId")
_AMOUNTS = ("amount", "paidAmount", "leftAmount", "canceledAmount")
_SKIP = ("items", "subscriptions", "parentSubscription", "customer", "product", "price")


def tell(kind: FaultKind, answer: dict[str, Any]) -> dict[str, Any]:
    """The untrue answer; `answer` itself where this lie says nothing about it."""
    match kind:
        case FaultKind.LIE_FAILED:
            return _failed(answer)
        case FaultKind.WRONG_ORDER:
            return _changed(answer, _IDS, _other_id)
        case FaultKind.WRONG_AMOUNT:
            return _changed(answer, _AMOUNTS, _other_amount)
    return answer


def _failed(answer: dict[str, Any]) -> dict[str, Any]:
    made = dict(answer)
    if "result" in made:
        made |= {"result": False, "code": 400, "message": "failed"}
    if isinstance(made.get("response"), dict):
        made["response"] = _failed(made["response"])
    if "paymentStatus" in made:
        made |= {"paymentStatus": "FAILED", "errorCode": "FAILED", "errorMessage": "failed"}
    if "paymentDate" in made:
        made["paymentDate"] = None
    if "orderCode" in made:
        made |= {"paidAmount": 0, "leftAmount": 0,
                 "items": [{**i, "status": "PAYMENT_FAILURE", "paidAmount": 0} for i in made.get("items", [])]}
    return made


def _changed(value: dict[str, Any], names: tuple[str, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    envelope = "result" in value or "message" in value
    made = dict(value)
    for name, old in value.items():
        if name in names and not (envelope and name == "code"):
            made[name] = change(old)
        elif isinstance(old, dict) and name not in _SKIP:
            made[name] = _changed(old, names, change)
    return made


def _other_id(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else f"{value}-other" if isinstance(value, str) else value


def _other_amount(value: Any) -> Any:
    if isinstance(value, str):
        return f"{value}1"
    return value + 1 if isinstance(value, int | float) else value
