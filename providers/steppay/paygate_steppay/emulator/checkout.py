"""The payer's side: the pay link, what the payer's acts do, and where the browser goes next. Its pages: hosted.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from paygate.testing.pages import PREFIX
from paygate.wire import Response

from . import fulfilment, payments, words
from .pg import Outcome, Pg
from .reading import Ask, Rejected, wrong
from .shapes_orders import deposit_account
from .state import Order, Payment

PAGE = f"{PREFIX}orders/"
URLS = ("successUrl", "errorUrl", "cancelUrl")
ACTIONS = ("approve", "decline", "close")


def pay_link(pg: Pg, ask: Ask) -> Response:
    """302 to the hosted page (documented), which here is a path of this host."""
    order = pg.order(ask.places[0])
    urls = {n: ask.query[n] for n in URLS if ask.query.get(n)}
    for name, url in urls.items():
        if not _is_web(url):
            raise wrong(f"{name} must be an http or https address")
    if order.deadline is not None and order.deadline < pg.now:
        raise wrong("the order's deadline is over", "ORDER_EXPIRED")
    order.urls = urls
    query = f"?{urlencode(urls)}" if urls else ""
    return Response(302, {"location": f"{PAGE}{quote(order.code, safe='')}{query}"}, b"")


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    clean = len(url) <= 4000 and all(33 <= ord(c) != 127 and not "\ud800" <= c <= "\udfff" for c in url)
    return clean and parts.scheme in ("http", "https") and bool(parts.netloc)


def demo_link(pg: Pg, ask: Ask) -> Response:
    """The demonstration page's link (documented)."""
    return Response(302, {"location": f"{PAGE}test"}, b"")


def act(pg: Pg, order: Order, action: str, *, quantity: int | None = None, method: str | None = None,
        message: str | None = None) -> str | None:
    """Do what the payer does on the hosted page; returns the address the browser goes to, if the link named one.

    Raises: Rejected where the order cannot be paid.
    """
    if action == "decline":
        fulfilment.decline(pg, order, message)
        return _return(pg, order, "errorUrl", "error")
    if action == "close":
        fulfilment.open_for_payment(pg, order)
        url = order.urls.get("cancelUrl")
        return _return(pg, order, "cancelUrl", "cancel") if pg.switches.return_on_cancel else url
    fulfilment.approve(pg, order, quantity, method, pg.switches.payment_date_lag_s)
    return _return(pg, order, "successUrl", "success")


def _return(pg: Pg, order: Order, which: str, status: str) -> str | None:
    if which not in order.urls:
        return None
    pairs = [("order_id", str(order.id))] if pg.switches.return_order_id else []
    return append(order.urls[which], [*pairs, ("order_code", order.code), ("status", status)])


def append(url: str, pairs: list[tuple[str, str]]) -> str:
    """Add to a URL's query, which may be there already, and keep its fragment last."""
    front, mark, fragment = url.partition("#")
    joint = "" if front.endswith(("?", "&")) else "&" if "?" in front else "?"
    return f"{front}{joint}{urlencode(pairs)}{mark}{fragment}"


def later(pg: Pg, seconds: float, name: str, do: Callable[[], object]) -> None:
    """The payer's browser is gone; the approval of `name` arrives `seconds` on, unless by then it cannot."""
    when, number = pg.now + timedelta(seconds=seconds), pg.ids.number("late")
    pg.late[number] = when, name

    def arrive() -> None:
        del pg.late[number]
        try:
            do()
        except Rejected:
            pass  # Paid, cancelled or past its deadline meanwhile: the PG declines the late approval.
    pg.at(when, arrive)


# The browser script's window

def waiting_window(pg: Pg, order_id: str) -> Payment | None:
    """The window opened last under a partner's order id, or by its idKey."""
    for payment in reversed(list(pg.payments.values())):
        if payment.payment_only and order_id in (payment.order_id, payment.id_key):
            return payment
    return None


def check_open(payment: Payment) -> None:
    """Raises: Rejected where the window is closed already."""
    if payment.attempted or payment.status != words.STANDBY:
        raise wrong("the window is closed already")


def answer_window(pg: Pg, payment: Payment, action: str, message: str | None) -> dict[str, Any]:
    """Do what the payer does in the script's window; returns which callback the script calls, and with what.

    Raises: Rejected where the window is closed already.
    """
    check_open(payment)
    if action == "close":
        payments.close(pg, payment)
        return {"event": "cancel", "payload": {"idKey": payment.id_key}}
    if action == "decline":
        payments.fail(pg, payment, Outcome("failed", message=message or "the card was declined"))
        return {"event": "error", "payload": {"idKey": payment.id_key, "errorCode": payment.error_code,
                                              "errorMessage": payment.error_message}}
    if payment.method in words.WAITS_FOR_DEPOSIT:
        payments.wait_for_deposit(pg, payment)
        account = deposit_account(pg, payment)
        return {"event": "success", "payload": {"idKey": payment.id_key, "bankCode": account["bankCode"], "accountBank":
                account["bankName"], "accountNum": account["accountNumber"], "accountName": account["accountName"]}}
    payments.take(pg, payment, lag_s=pg.switches.payment_date_lag_s)
    return {"event": "success", "payload": {"idKey": payment.id_key}}
