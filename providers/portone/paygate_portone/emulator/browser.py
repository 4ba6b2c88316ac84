"""The payer's browser at this PG: a stand-in for its script, and the window that the script opens, as pages.

The window's parameters come from the merchant's page and prove nothing; the answers to it are hints, as at the PG.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from attrs import define, frozen

from paygate.testing import pages
from paygate.testing.emulator import Call
from paygate.wire import Response

from .bodies import read_body, section
from .records import Json
from .routes import segments
from .shop import Shop, Window
from .windows import decide, left, open_window, with_query
from .words import CARD_CHANNEL_KEY, DECLINE_TEXTS, MERCHANT_CODE, WRONG_CODE, Refusal

WINDOWS = f"{pages.PREFIX}windows"
_DONE = {"paid": "Approved", "failed": "Declined", "ready": "Closed without paying"}


@frozen
class Refused:
    """A window that did not open, and where its browser goes."""

    order_id: str
    why: str
    redirect_url: str | None
    tells: Json | None


@define
class Browser:
    """What browsers have open here. `tells` holds whom a pop-up's page tells its result, by the window's id."""

    shop: Shop
    tells: dict[str, Json]
    refused: list[Refused]

    def answer(self, call: Call) -> Response:
        """Answer a call to a path under the pages' prefix."""
        parts = segments(call.path.removeprefix(pages.PREFIX)) or ()
        match call.method, parts:
            case "GET", ("standin.js",):
                return pages.standin(_standin())
            case "GET", ("window",):
                body = "<p>One moment.</p><noscript><p>The window needs JavaScript.</p></noscript>"
                return pages.page("Opening the payment window 결제창", body, script={"open": WINDOWS})
            case "POST", ("windows",):
                return self._open(call.body)
            case "GET", ("refusals", number) if number.isascii() and number.isdigit() and len(number) < 9:
                return self._show_refusal(int(number))
            case "GET" | "POST", ("windows", name, *act) if (window := self._window(name)) is not None:
                if call.method == "GET" and not act:
                    return self._show(window)
                if call.method == "POST" and act in (["approve"], ["decline"], ["close"], ["late"]):
                    return self._press(window, act[0], pages.form(call.body))
        return pages.page("No such page", "<p>This sandbox has no such window. Start again from the shop.</p>",
                          status=404)

    def _window(self, name: str) -> Window | None:
        return next((w for w in self.shop.windows if w.id == name), None)

    def _open(self, body: bytes) -> Response:
        try:
            fields = read_body("application/json", body)
            params = section(fields, "params")
        except Refusal:
            return pages.say(400, {"error": "this is not what the script sends"})
        tells = pages.opener(fields.get("tells"))
        try:
            if fields.get("code") != MERCHANT_CODE:
                raise Refusal(WRONG_CODE)
            window = open_window(self.shop, params)
        except Refusal as refusal:
            url = params.get("m_redirect_url")
            back = url if isinstance(url, str) and pages.is_web(url) else None
            self.refused.append(Refused(str(params.get("merchant_uid") or ""), refusal.message, back, tells))
            return pages.say(200, {"page": f"{pages.PREFIX}refusals/{len(self.refused)}"})
        if tells is not None:
            self.tells[window.id] = tells
        return pages.say(200, {"page": f"{WINDOWS}/{window.id}"})

    def _show(self, window: Window) -> Response:
        if not window.is_open:
            return self._leave(window)
        order, where = window.payment.order, f"{WINDOWS}/{window.id}"
        rows = [("Order 주문번호", order.merchant_uid), ("What 상품", order.name), ("Amount 금액", str(order.money)),
                ("Channel 채널", window.payment.channel.name)]
        note = ""
        if window.customer_uid is not None:
            rows.append(("Billing key 빌링키", window.customer_uid))
            note = "<p>This registers a billing key. Nothing is charged now.</p>\n"
        script: Json = {"leaving": f"{where}/close"}
        if (tells := self.tells.get(window.id)) is not None:
            script |= {"tells": tells, "ifGone": left(window)["callback"]}
        return pages.page("Payment window 결제창", f"{pages.bill(rows)}{note}{pages.decisions(where, DECLINE_TEXTS)}",
                          script=script)

    def _press(self, window: Window, action: str, fields: Mapping[str, str]) -> Response:
        if window.is_open:
            message = fields.get("message", "")
            decide(self.shop, window, action, message[:500] if message.isprintable() else None,
                   after_s=pages.delay(fields))
            if window.came is not None and window.id not in self.tells and pages.is_web(window.redirect_url or ""):
                return pages.see_other(window.came["redirect_url"])
        return self._leave(window)

    def _leave(self, window: Window) -> Response:
        """The page of a window that is decided."""
        tells, came = self.tells.get(window.id), window.came
        if came is None:
            at = window.late_at
            says = "It has arrived." if at is None else f"The approval arrives at {pages.korean_time(at)}."
            return pages.page("The payer's browser is gone", f"<p>{says}</p><p>You can close this page.</p>",
                              script={"close": True})
        title = _DONE.get(window.payment.status, "Decided")
        why = f"<p>{pages.shown(came['callback']['error_msg'])}</p>\n" if came["callback"]["error_msg"] else ""
        if tells is None:
            return pages.page(title, why + pages.way_back(came["redirect_url"]))
        return pages.page(title, f"{why}<p>You can close this window.</p>",
                          script={"tells": tells, "result": came["callback"], "close": True})

    def _show_refusal(self, number: int) -> Response:
        if not 1 <= number <= len(self.refused):
            return pages.page("No such page", "<p>Start again from the shop.</p>", status=404)
        no = self.refused[number - 1]
        result = {"success": False, "imp_success": False, "imp_uid": None, "merchant_uid": no.order_id,
                  "error_code": "REFUSED", "error_msg": no.why}
        why = f"<p>The PG did not open the window:</p><p><strong>{pages.shown(no.why)}</strong></p>\n"
        if no.tells is not None:
            return pages.page("No payment window", f"{why}<p>Close this window to go back to the shop.</p>",
                              script={"tells": no.tells, "ifGone": result})
        back = no.redirect_url and with_query(no.redirect_url, {
            "merchant_uid": no.order_id, "imp_success": "false", "error_code": "REFUSED", "error_msg": no.why})
        return pages.page("No payment window", why + pages.way_back(back))


def _standin() -> str:
    text = files("paygate_portone.emulator").joinpath("standin.js").read_text(encoding="utf-8")
    return text.replace("CARD_CHANNEL_KEY", CARD_CHANNEL_KEY)
