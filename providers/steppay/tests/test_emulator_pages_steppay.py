"""The payer's pages: the hosted page of an order, the window that the script's stand-in opens, and what comes back."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator
from paygate_steppay.emulator.words import DECLINE_TEXTS
from paygate_steppay.settings import UnmanagedSettings

from paygate.assemble import connect
from paygate.errors import BadSettings
from paygate.ledger import MemoryLedger
from paygate.model import ClientCall, Redirect
from paygate.testing import EmulatorTransport
from paygate.testing.emulator import Call, Emulator
from paygate.wire import Response

TELLS = {"origin": "http://127.0.0.1:8000", "nonce": "1-2-3-4"}
HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e"


def get(pg: Emulator, path: str) -> Response:
    return _whole(pg.handle(Call("GET", path)))


def post(pg: Emulator, path: str, **fields: str) -> Response:
    return _whole(pg.handle(Call("POST", path, {"content-type": "application/x-www-form-urlencoded"},
                                 urlencode(fields).encode())))


def todo(answer: Response) -> dict[str, Any]:
    """What the page's script is to do."""
    found = re.search(r'data-todo="([^"]*)"', answer.body.decode())
    return {} if found is None else json.loads(unescape(found[1]))


def _whole(answer: Any) -> Response:
    assert isinstance(answer, Response)
    return answer


def ordered(pg: ManagedEmulator, *, method: str = "pay") -> tuple[str, str]:
    """An order by paygate itself, its pay link followed: (path of the hosted page, order code)."""
    with connect(pg.name, pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock) as gate:
        action = getattr(gate, method)(getattr(pg.story(), method)).action
    assert isinstance(action, Redirect)
    parts = urlsplit(action.url)
    page = get(pg, f"{parts.path}?{parts.query}").headers["location"].partition("?")[0]
    return page, page.rpartition("/")[2]


def params(pg: UnmanagedEmulator, **changes: Any) -> dict[str, Any]:
    return {"paymentKey": pg.settings()["payment_key"], "paymentGateway": "NICE", "paymentMethod": "CARD",
            "partner": {"partnerOrderId": "o-1", "partnerUserId": "u-1"},
            "product": {"itemName": "Book", "amount": 14_000, "quantity": 1},
            "customer": {"userName": "Kim", "phone": "010", "email": "kim@example.com"}, **changes}


def opened(pg: UnmanagedEmulator, tells: Any = TELLS, **changes: Any) -> str:
    """The path of the page that the script's stand-in goes to."""
    body = json.dumps({"params": params(pg, **changes), "tells": tells}).encode()
    answer = _whole(pg.handle(Call("POST", "/__page__/windows", {"content-type": "application/json"}, body)))
    assert answer.status == 200
    return str(json.loads(answer.body)["page"])


# The hosted page

@pytest.mark.parametrize(("action", "mark", "taken"), [("approve", "success", 14_000), ("decline", "error", 0)])
def test_a_payer_decides_on_the_hosted_page_and_is_sent_back(action: str, mark: str, taken: int) -> None:
    pg = ManagedEmulator()
    page, code = ordered(pg)
    assert "14,000 KRW" in get(pg, page).body.decode()
    assert pg.journal.entries == []

    answer = post(pg, f"{page}/{action}", message=DECLINE_TEXTS[1])

    assert answer.status == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["order_code"], query["status"]) == ([code], [mark])
    assert pg.journal.taken(code) == taken
    if action == "decline":
        assert pg.pg.order(code).payment.error_message == DECLINE_TEXTS[1]
        assert f"Declined before: {DECLINE_TEXTS[1]}" in get(pg, page).body.decode()


def test_a_virtual_account_is_paid_when_the_deposit_comes() -> None:
    pg = ManagedEmulator()
    page, code = ordered(pg)
    post(pg, f"{page}/approve", method="VBANK")
    assert pg.journal.entries == []
    pg.controls()["deposit"](order_id=code)
    assert pg.journal.taken(code) == 14_000


def test_a_late_approval_of_the_hosted_page_is_seen_coming_and_arrives() -> None:
    pg = ManagedEmulator()
    page, code = ordered(pg)
    assert todo(post(pg, f"{page}/late", after_s="90")) == {"close": True}
    due, = pg.overview().dated
    assert (due.order_id, due.is_due, due.at - pg.clock.now()) == (code, True, timedelta(seconds=90))
    pg.clock.advance(90)
    assert pg.journal.taken(code) == 14_000
    assert pg.overview().dated == ()


def test_an_order_that_is_paid_has_nothing_to_press_and_cannot_be_paid_again() -> None:
    pg = ManagedEmulator()
    page, code = ordered(pg)
    post(pg, f"{page}/approve")
    assert "<form" not in get(pg, page).body.decode()
    assert post(pg, f"{page}/approve").status == 400
    assert pg.journal.charges(code) == 1


def test_the_page_of_a_saved_method_and_of_a_subscription_say_what_they_do() -> None:
    pg = ManagedEmulator()
    assert "Nothing is charged now" in get(pg, ordered(pg, method="register")[0]).body.decode()
    text = get(pg, ordered(pg, method="subscribe")[0]).body.decode()
    assert "This begins a subscription" in text
    assert "VBANK" not in text


# The script's window

def test_the_sandboxes_settings_make_the_merchants_page_load_the_stand_in() -> None:
    pg = UnmanagedEmulator()
    given = {**pg.settings(), "script_url": "http://127.0.0.1:8081/__page__/standin.js"}
    with connect(pg.name, given, ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock) as gate:
        command = pg.story().pay
        assert command is not None
        action = gate.pay(command).action

    assert isinstance(action, ClientCall)
    assert action.script == given["script_url"]
    assert "requestPay(params)" in get(pg, "/__page__/standin.js").body.decode()
    assert UnmanagedSettings(**pg.settings()).script_url.startswith("https://")


@pytest.mark.parametrize("change", [{"script_url": "http://evil.example/x.js"}, {"script_url": "javascript:1"},
                                    {"script_url": "http://127.0.0.1/x.js", "mode": "live"}])
def test_a_script_from_elsewhere_is_refused_and_live_mode_takes_https_only(change: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match="script_url"):
        UnmanagedSettings(**{**UnmanagedEmulator().settings(), **change})


@pytest.mark.parametrize(("action", "event", "state", "taken"), [
    ("approve", "success", "COMPLETE", 14_000), ("decline", "error", "FAILED", 0),
    ("close", "cancel", "USER_CANCELED", 0)])
def test_a_pop_up_tells_its_opener_which_callback_to_call(action: str, event: str, state: str, taken: int) -> None:
    pg = UnmanagedEmulator()
    page = opened(pg)
    key = page.rpartition("/")[2]
    shown = todo(get(pg, page))
    assert (shown["tells"], shown["ifGone"]) == (TELLS, {"event": "cancel", "payload": {"idKey": key}})
    assert (pg.pg.payments[key].status, pg.hooks) == ("STANDBY", [])

    told = todo(post(pg, f"{page}/{action}", message=DECLINE_TEXTS[0]))

    assert (told["tells"], told["close"], told["result"]["event"]) == (TELLS, True, event)
    assert told["result"]["payload"]["idKey"] == key
    assert (pg.pg.payments[key].status, pg.journal.taken("o-1")) == (state, taken)
    assert len(pg.hooks) == 1
    if action == "decline":
        assert told["result"]["payload"]["errorMessage"] == DECLINE_TEXTS[0]


def test_a_window_is_decided_once_and_shown_again_it_tells_the_same() -> None:
    pg = UnmanagedEmulator()
    page = opened(pg)
    first = todo(post(pg, f"{page}/approve"))
    assert todo(post(pg, f"{page}/decline")) == first
    assert todo(get(pg, page)) == first
    assert pg.journal.charges("o-1") == 1


def test_a_window_that_a_test_decided_tells_its_page_too() -> None:
    pg = UnmanagedEmulator()
    page = opened(pg)
    pg.controls()["payer"](order_id="o-1", action="decline")
    assert todo(post(pg, f"{page}/approve"))["result"]["event"] == "error"
    assert pg.journal.entries == []


def test_a_late_approval_arrives_when_the_payer_said_and_the_browser_brings_nothing() -> None:
    pg = UnmanagedEmulator()
    assert todo(post(pg, f"{opened(pg)}/late", after_s="60")) == {"close": True}
    pg.clock.advance(59)
    assert pg.journal.entries == []
    pg.clock.advance(1)
    assert pg.journal.taken("o-1") == 14_000


@pytest.mark.parametrize("change", [{"paymentKey": "other"}, {"paymentGateway": "X"}, {"partner": None},
                                    {"product": {"itemName": "x", "amount": 0, "quantity": 1}}])
def test_a_window_that_would_not_open_shows_why(change: dict[str, Any]) -> None:
    pg = UnmanagedEmulator()
    answer = get(pg, opened(pg, **change))
    assert "The PG did not open the window" in answer.body.decode()
    assert todo(answer)["ifGone"]["event"] == "error"
    assert pg.pg.payments == {}


def test_hostile_text_is_shown_as_text() -> None:
    pg, hosted = UnmanagedEmulator(), ManagedEmulator()
    page = opened(pg, partner={"partnerOrderId": HOSTILE, "partnerUserId": "u"}, product={
        "itemName": HOSTILE, "amount": 100, "quantity": 1})
    order, code = ordered(hosted)
    hosted.pg.order(code).customer.name = HOSTILE
    bodies = [get(pg, page).body.decode(), get(hosted, order).body.decode(),
              post(pg, f"{page}/decline", message=HOSTILE).body.decode(),
              post(pg, "/__page__/orders/<b>x/approve").body.decode()]

    for body in bodies:
        assert not [bad for bad in ("<script>alert", "<b>x", "\x1b", "\u202e") if bad in body]


def test_every_page_has_a_strict_policy_and_says_that_no_money_is_real() -> None:
    pg, hosted = UnmanagedEmulator(), ManagedEmulator()
    for answer in (get(pg, "/__page__/window"), get(pg, opened(pg)), get(hosted, ordered(hosted)[0]),
                   get(pg, "/__page__/orders/test"), get(pg, "/__page__/nothing")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert "Sandbox: no real money" in answer.body.decode()


SEGMENT = st.sampled_from(["windows", "orders", "window", "standin.js", "test", "approve", "late", "close", "decline",
                           "", "..", "%ff", "assets", "payer.css"]) | st.text(max_size=6).map(quote)
PATHS = st.lists(SEGMENT, max_size=4).map(lambda parts: "/__page__/" + "/".join(parts))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["GET", "POST", "PUT", "HEAD"]), PATHS,
       st.binary(max_size=40) | st.sampled_from([b"{}", b'{"params": []}', b'{"params": {"paymentKey": "\\ud800"}}',
                                                 b"after_s=-1&method=X&quantity=0"]), st.booleans())
def test_whatever_is_asked_of_the_pages_is_answered(method: str, path: str, body: bytes, managed: bool) -> None:
    pg = ManagedEmulator() if managed else UnmanagedEmulator()
    assert _whole(pg.handle(Call(method, path, {}, body))).status < 500
    assert pg.journal.entries == []


# What there is to see

def test_the_overview_of_orders_shows_what_waits_what_is_held_and_what_runs() -> None:
    pg = ManagedEmulator()
    page, code = ordered(pg, method="subscribe")
    waiting, = pg.overview().waiting
    assert (waiting.handle, waiting.page, waiting.takes_money) == (code, page, True)
    post(pg, f"{page}/approve")
    seen = pg.overview()
    running, = seen.running
    assert (seen.waiting, running.order_id, running.every, running.status) == ((), code, "1 MONTH", "ACTIVE")
    assert [(d.what.partition(" ")[0], d.is_due) for d in seen.dated] == [("renewal", True)]
    pg.controls()["renewals"](outcome="failed")
    pg.clock.advance(32 * 86_400)
    seen = pg.overview()
    assert [(d.what.partition(" ")[0], d.status, d.is_due) for d in seen.dated] == [
        ("renewal", "COMPLETE", False), ("renewal", "ACTIVE", True)]
    assert [h.status for h in seen.held] == ["PAID", "PAID"]
    assert [w.handle for w in seen.waiting] == []
    assert len(seen.keys) == 1


def test_the_overview_of_windows_shows_what_waits_and_what_is_held() -> None:
    pg = UnmanagedEmulator()
    page = opened(pg)
    seen = pg.overview()
    assert [(w.order_id, w.page) for w in seen.waiting] == [("o-1", page)]
    assert [(h.order_id, h.status) for h in seen.held] == [("o-1", "STANDBY")]
    pg.controls()["payer"](order_id=seen.waiting[0].handle)
    assert pg.overview().waiting == ()
    pg.controls()["issue_key"](key="key-1")
    assert [k.value for k in pg.overview().keys] == ["key-1"]
