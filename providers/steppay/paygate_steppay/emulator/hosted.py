"""The payer's browser at this PG: the hosted page of an order, and a stand-in for the browser script with its window.

What a page of a merchant hands over proves nothing; what goes back to it are hints, as at the PG.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote

from attrs import define

from paygate.codec import Unreadable, read_json
from paygate.testing import pages
from paygate.testing.emulator import Call
from paygate.wire import Response

from . import billing, checkout, fulfilment, words
from .pg import Pg
from .reading import Fields, Rejected, unknown, whole_text, wrong
from .state import Order, Payment

WINDOWS = f"{pages.PREFIX}windows"
ACTIONS = (*checkout.ACTIONS, "late")


@define
class Tab:
    """A window that the script has opened, or was refused. `tells` is whom its page tells, `came` what it told."""

    payment: Payment | None
    tells: dict[str, str] | None
    came: dict[str, Any] | None = None


def answer(pg: Pg, call: Call) -> Response:
    """Answer a call to a path under the pages' prefix."""
    try:
        parts = tuple(unquote(part) for part in call.path.removeprefix(pages.PREFIX).split("/"))
        return _answer(pg, call, parts)
    except Rejected as no:
        text = f"<p><strong>{pages.shown(no.message)}</strong></p>\n"
        return pages.page("This cannot be done", text, status=no.status)


def _answer(pg: Pg, call: Call, parts: tuple[str, ...]) -> Response:
    match call.method, parts:
        case "GET", ("standin.js",):
            text = files("paygate_steppay.emulator").joinpath("standin.js").read_text(encoding="utf-8")
            return pages.standin(text)
        case "GET", ("orders", "test"):
            return pages.page("Demonstration", "<p>There is nothing to pay here.</p>")
        case "GET", ("orders", code):
            return _show_order(pg, pg.order(code))
        case "POST", ("orders", code, action):
            return _press_order(pg, pg.order(code), action, pages.form(call.body))
        case "GET", ("window",):
            body = "<p>One moment.</p><noscript><p>The window needs JavaScript.</p></noscript>"
            return pages.page("Opening the payment window 결제창", body, script={"open": WINDOWS})
        case "POST", ("windows",):
            return _open(pg, call.body)
        case "GET", ("windows", name):
            return _show_window(pg, name, _tab(pg, name))
        case "POST", ("windows", name, action):
            return _press_window(pg, name, _tab(pg, name), action, pages.form(call.body))
    raise unknown("page")


# The hosted page

def _show_order(pg: Pg, order: Order) -> Response:
    rows = [("Order 주문", order.code), ("What 상품", order.title), ("Amount 금액", str(order.payment.money)),
            ("Customer 고객", order.customer.name)]
    try:
        fulfilment.open_for_payment(pg, order)
    except Rejected as no:
        return pages.page("Nothing to pay", f"{pages.bill(rows)}<p>{pages.shown(no.message)}</p>\n")
    notes = {"PAYMENT_METHOD": "This saves a means of payment. Nothing is charged now.",
             "RECURRING_INITIAL": "This begins a subscription (정기결제): it is charged again each period."}
    note = f"<p>{pages.shown(notes[order.type])}</p>\n" if order.type in notes else ""
    declined = order.payment.error_message
    last = f"<p>Declined before: {pages.shown(declined)}</p>\n" if declined else ""
    where = f"{checkout.PAGE}{quote(order.code, safe='')}"
    forms = pages.decisions(where, words.DECLINE_TEXTS, approve=_choices(order))
    return pages.page("Hosted page 결제 페이지", pages.bill(rows) + note + last + forms)


def _choices(order: Order) -> str:
    """Fields of an approval: the quantity where the order leaves it open, the means of a one-off payment."""
    first = next((i for i in order.items if i.type == "SKU"), None)
    least = max(first.minimum, 1) if first else 1
    quantity = "" if first is None or first.maximum == least else (
        f'<label>Quantity {pages.korean("수량")} <input name="quantity" type="number" min="{least}" '
        f'max="{first.maximum or 1000}" value="{least}" required></label>')
    if order.type != "ONE_TIME":
        return quantity
    means = (f'<label>Pay by {pages.korean("결제수단")} <select name="method"><option value="CARD">card 카드</option>'
             '<option value="VBANK">virtual account 가상계좌 (paid when the deposit comes)</option></select></label>')
    return quantity + means


def _press_order(pg: Pg, order: Order, action: str, fields: Mapping[str, str]) -> Response:
    if action not in ACTIONS:
        raise unknown("page")
    method, quantity, message = fields.get("method"), fields.get("quantity", ""), fields.get("message", "")
    if method is not None and method not in words.METHODS:
        raise wrong("method is not one of StepPay's")
    count = int(quantity) if quantity.isascii() and quantity.isdigit() and len(quantity) < 8 else None
    if action == "late":
        fulfilment.open_for_payment(pg, order)
        checkout.later(pg, pages.delay(fields), order.code,
                       lambda: checkout.act(pg, order, "approve", quantity=count, method=method))
        return _gone(pg, order.code)
    said = message[:1000] if message.isprintable() and message else None
    url = checkout.act(pg, order, action, quantity=count, method=method, message=said)
    if url is None:
        return pages.page("Done", pages.way_back(None))
    return pages.see_other(url)


def _gone(pg: Pg, name: str) -> Response:
    arrives = max((when for when, what in pg.late.values() if what == name), default=None)
    says = "It has arrived." if arrives is None else f"The approval arrives at {pages.korean_time(arrives)}."
    return pages.page("The payer's browser is gone", f"<p>{says}</p><p>You can close this page.</p>\n",
                      script={"close": True})


# The script's window

def _open(pg: Pg, body: bytes) -> Response:
    try:
        asked = read_json(body)
    except Unreadable:
        asked = None
    if not isinstance(asked, dict):
        return pages.say(400, {"error": "this is not what the script sends"})
    tab = Tab(None, pages.opener(asked.get("tells")))
    try:
        tab.payment = billing.open_window(pg, Fields(whole_text(asked.get("params")), pg.switches.zone_hours))
        name = tab.payment.id_key
    except Rejected as no:
        name = f"refused-{len(pg.tabs) + 1}"
        tab.came = {"event": "error", "payload": {"errorCode": no.code, "errorMessage": no.message}}
    pg.tabs[name] = tab
    return pages.say(200, {"page": f"{WINDOWS}/{quote(name, safe='')}"})


def _tab(pg: Pg, name: str) -> Tab:
    tab: Tab | None = pg.tabs.get(name)
    if tab is not None:
        return tab
    payment = pg.payments.get(name)
    if payment is None or not payment.payment_only:
        raise unknown("window")
    return Tab(payment, None)


def _show_window(pg: Pg, name: str, tab: Tab) -> Response:
    payment = tab.payment
    if payment is None:
        assert tab.came is not None
        no = tab.came["payload"]["errorMessage"]
        text = f"<p>The PG did not open the window:</p><p><strong>{pages.shown(no)}</strong></p>\n"
        note = "<p>Close this window to go back to the shop.</p>\n"
        told = {"tells": tab.tells, "ifGone": tab.came} if tab.tells else None
        return pages.page("No payment window", text + note, script=told)
    if payment.attempted or payment.status != words.STANDBY:
        return _leave(tab, payment)
    rows = [("Order 주문번호", payment.order_id), ("What 상품", payment.title), ("Amount 금액", str(payment.total)),
            ("Means 결제수단", f"{payment.method} ({payment.gateway})")]
    key = payment.method.endswith("_BILL")
    note = "<p>The payment issues a billing key (빌링키 발급).</p>\n" if key else ""
    where = f"{WINDOWS}/{quote(name, safe='')}"
    script: dict[str, Any] = {"leaving": f"{where}/close"}
    if tab.tells is not None:
        script |= {"tells": tab.tells, "ifGone": {"event": "cancel", "payload": {"idKey": payment.id_key}}}
    forms = pages.decisions(where, words.DECLINE_TEXTS)
    return pages.page("Payment window 결제창", pages.bill(rows) + note + forms, script=script)


def _press_window(pg: Pg, name: str, tab: Tab, action: str, fields: Mapping[str, str]) -> Response:
    if action not in ACTIONS or tab.payment is None:
        raise unknown("page")
    if tab.payment.attempted or tab.payment.status != words.STANDBY:
        return _leave(tab, tab.payment)
    payment, message = tab.payment, fields.get("message", "")
    if action == "late":
        checkout.later(pg, pages.delay(fields), payment.order_id,
                       lambda: checkout.answer_window(pg, payment, "approve", None))
        return _gone(pg, payment.order_id)
    said = message[:1000] if message.isprintable() and message else None
    tab.came = checkout.answer_window(pg, payment, action, said)
    return _leave(tab, payment)


def _leave(tab: Tab, payment: Payment) -> Response:
    """The page of a window that is decided."""
    came = tab.came or {"event": _EVENTS.get(payment.status, "success"), "payload": {"idKey": payment.id_key}}
    title = {"success": "Approved", "error": "Declined", "cancel": "Closed without paying"}[came["event"]]
    error = came["payload"].get("errorMessage")
    why = f"<p>{pages.shown(error)}</p>\n" if error else ""
    script = {"tells": tab.tells, "result": came, "close": True} if tab.tells else None
    return pages.page(title, f"{why}<p>You can close this window.</p>\n", script=script)


_EVENTS = {words.FAILED: "error", words.USER_CANCELED: "cancel"}
