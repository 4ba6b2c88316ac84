"""The payer's page of FakePG, and what a person who looks at a sandbox sees of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ...money import Money
from ...wire import Response
from .. import pages
from ..emulator import Call
from ..overview import Dated, Held, Key, Overview, Waiting, last

if TYPE_CHECKING:
    from .emulator import FakePG


def answer(pg: FakePG, call: Call) -> Response:
    """Answer a call to a path under the pages' prefix: /<order id>, and /<order id>/<act>."""
    order_id, _, action = call.path.removeprefix(pages.PREFIX).partition("/")
    window = pg.windows.get(order_id)
    if window is None:
        return pages.page("No such page", "<p>There is no such order. Start again from the shop.</p>", status=404)
    if call.method == "POST" and action in ("approve", "decline", "close", "late"):
        return _press(pg, window, action, pages.form(call.body))
    if call.method != "GET" or action:
        return pages.page("No such page", "<p>Start again from the shop.</p>", status=404)
    if pg.is_used(order_id):
        return pages.page("Nothing to pay", pages.way_back(_back(window)))
    rows = [("Order 주문번호", order_id), ("Amount 금액", str(_money(window)))]
    note = "<p>This registers a billing key (빌링키). Nothing is charged now.</p>\n" if window.get("key") else ""
    forms = pages.decisions(f"{pages.PREFIX}{quote(order_id, safe='')}", pg.decline_reasons)
    return pages.page("Payment page 결제 페이지", pages.bill(rows) + note + forms)


def _press(pg: FakePG, window: dict[str, Any], action: str, fields: dict[str, str]) -> Response:
    if not pg.is_used(window["order_id"]):
        message = fields.get("message", "")
        came = pg.payer(window["order_id"], action, message=message[:500] if message.isprintable() else None,
                        after_s=pages.delay(fields))
        if came is None:
            return pages.page("The payer's browser is gone", "<p>You can close this page.</p>", script={"close": True})
        window["came"] = came
    url = _back(window)
    return pages.see_other(url) if url else pages.page("Done", pages.way_back(None))


def _back(window: dict[str, Any]) -> str | None:
    url, came = window.get("return_url"), window.get("came")
    if not isinstance(url, str) or not pages.is_web(url) or not came:
        return None
    return f"{url}{'&' if '?' in url else '?'}{urlencode(came)}"


def _money(body: dict[str, Any]) -> Money:
    return Money(body["amount"], body["currency"])


def overview(pg: FakePG, most: int) -> Overview:
    """What there is, oldest first."""
    return Overview(
        waiting=tuple(Waiting(
            handle=order_id, order_id=order_id, title="", money=_money(w), takes_money="key" not in w,
            opened_at=pg.times.get(order_id, pg.clock.now()), page=f"{pages.PREFIX}{quote(order_id, safe='')}")
            for order_id, w in last(most, pg.windows.items()) if not pg.is_used(order_id)),
        held=tuple(Held(
            at=pg.times[id], order_id=p["order_id"], provider_id=id, title="", money=_money(p),
            returned=Money(p["given_back"], p["currency"]), status=p["status"], takes_money=not p["for_key"],
            note=p["message"]) for id, p in last(most, pg.payments.items())),
        keys=tuple(Key(value=key, about="", at=None) for key in last(most, pg.keys)),
        dated=tuple(sorted((Dated(
            at=datetime.fromisoformat(i["due_at"]), what="dated charge 예약결제", order_id=i["order_id"],
            money=_money(i), status=i["status"], is_due=i["status"] == "scheduled", note=i["payment_status"])
            for i in last(most, pg.items.values())), key=lambda d: d.at)),
        webhook_urls=(("webhook", pg.webhook_url),),
        totals=(("held", len(pg.payments)), ("keys", len(pg.keys)), ("dated", len(pg.items))))
