"""What a browser's return or a webhook claims. Pure, and never proof: PortOne V1 signs neither.

Only known keys are read; what could not have come from the PG is Forged. Nothing else about them is believed.

Source: PortOne V1 guide, webhook; PortOne V1 JavaScript SDK, request_pay result (documented).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paygate.errors import Forged
from paygate.model import Hint
from paygate.webhook import clean_text, webhook_fields

from .records import IMP_UID

_LIMITS = {"merchant_uid": 40, "imp_uid": 40, "status": 40, "cancellation_id": 100, "error_code": 100,
           "error_msg": 1000, "imp_success": 5, "success": 5}
RETURN_KEYS = tuple(name for name in _LIMITS if name != "cancellation_id")
_MISSING = ("", "null", "undefined")
"""How a page writes an imp_uid it was not given (assumed: what JavaScript makes of it)."""


def read_return(query: Mapping[str, str]) -> Hint:
    """Read the query of m_redirect_url, or the callback's result as a page posts it.

    Keys beside the PG's are the merchant's own (return_url may carry some) and are not looked at.
    The claim is `status`, else `imp_success` or `success` ("true", "false"), as older SDKs add them.

    Raises: Forged.
    """
    given = {name: _clean(query, name) for name in RETURN_KEYS}
    if given["merchant_uid"] is None and given["imp_uid"] is None:
        raise Forged("a return that names neither imp_uid nor merchant_uid; nothing was changed")
    claim = given["status"] or given["imp_success"] or given["success"]
    return Hint(order_id=given["merchant_uid"], provider_id=given["imp_uid"], code=given["error_code"],
                message=given["error_msg"], claim=claim, says_paid=claim in ("paid", "true"))


def read_webhook(headers: Mapping[str, str], body: bytes) -> Hint:
    """Read a webhook: JSON or a form, as chosen in the console, at most 64 KiB, no key twice.

    Raises: Forged.
    """
    given = webhook_fields(headers, body)
    read = {name: _clean(given, name) for name in ("imp_uid", "merchant_uid", "status", "cancellation_id")}
    if read["imp_uid"] is None or read["merchant_uid"] is None:
        raise Forged("a webhook that lacks imp_uid or merchant_uid; nothing was changed")
    return Hint(order_id=read["merchant_uid"], provider_id=read["imp_uid"], claim=read["status"],
                cancellation=read["cancellation_id"])


def _clean(given: Mapping[str, Any], name: str) -> str | None:
    value = clean_text(given, name, _LIMITS[name], none=_MISSING)
    if name == "imp_uid" and value is not None and not IMP_UID.fullmatch(value):
        raise Forged("imp_uid is not what the PG sends; nothing was changed")
    return value
