"""The pay link of an order, and what the browser brings back from it. Pure; nothing a browser says is proof.

Source: order payment guide (documented): GET /api/public/orders/{code}/pay, and order_id, order_code, status appended
to the given address. Nothing is published for cancelUrl, so each address carries a mark of ours that tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from paygate.errors import BadCommand, Forged
from paygate.model import Hint, Redirect
from paygate.webhook import clean_text

from .fields import CODE, ID_KEY

MARK = "paygate_outcome"
_OUTCOMES = {"successUrl": "success", "errorUrl": "error", "cancelUrl": "cancel"}
RESERVED = ("order_id", "order_code", "status", MARK)
_LIMITS = {"order_id": 20, "order_code": 100, "status": 40, MARK: 10}
RETURN_KEYS = tuple(_LIMITS)
_CHAIN_LIMITS = {"event": 10, "idKey": 100, "errorCode": 100, "errorMessage": 1000}
CHAIN_KEYS = tuple(_CHAIN_LIMITS)


def redirect(origin: str, code: str, return_url: str) -> Redirect:
    """Send the payer to the hosted page of an order, and from there back to `return_url`, whatever happens."""
    urls = {name: marked(return_url, outcome) for name, outcome in _OUTCOMES.items()}
    return Redirect(f"{origin.rstrip('/')}/api/public/orders/{quote(code, safe='')}/pay?{urlencode(urls)}")


def marked(url: str, outcome: str) -> str:
    """`url` with the mark added to its query, which may be there already."""
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{joint}{MARK}={outcome}"


def check_return_url(url: str) -> None:
    """Refuse a return address that brings the PG's own names along: each may come back only once.

    Raises: BadCommand.
    """
    names = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if names & set(RESERVED):
        raise BadCommand(f"return_url may not hold {', '.join(RESERVED)}; nothing was sent")


def read_return(query: Mapping[str, str]) -> Hint:
    """Read the query of the hosted page's return. `order_id` there is StepPay's number, which is not needed.

    Keys beside the PG's are the merchant's own and are not looked at.

    Raises: Forged.
    """
    given = {name: clean_text(query, name, limit) for name, limit in _LIMITS.items()}
    code, mark = given["order_code"], given[MARK]
    if code is None and mark is None:
        raise Forged("a return that names no order_code; nothing was changed")
    if (code is not None and not CODE.fullmatch(code)) or (mark is not None and mark not in _OUTCOMES.values()):
        raise Forged("order_code or the outcome is not what the PG sends; nothing was changed")
    claim = given["status"] or mark
    return Hint(provider_id=code, claim=claim, says_paid=claim == "success")


def read_chain(query: Mapping[str, str]) -> Hint:
    """Read what the browser script's callbacks were given, with `event`: the name of the one that was called.

    Raises: Forged.
    """
    given = {name: clean_text(query, name, limit) for name, limit in _CHAIN_LIMITS.items()}
    event, key = given["event"], given["idKey"]
    if event not in (None, "success", "error", "cancel") or (key is None and event in (None, "success")):
        raise Forged("a return that names no idKey; nothing was changed")
    if key is not None and not ID_KEY.fullmatch(key):
        raise Forged("idKey is not what the PG sends; nothing was changed")
    return Hint(provider_id=key, claim=event, says_paid=event == "success", code=given["errorCode"],
                message=given["errorMessage"])
