"""The payer's window as pages: what the script's stand-in opens, what a payer does there, what comes back."""

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
from paygate_portone import Settings
from paygate_portone.emulator import PortOneEmulator
from paygate_portone.emulator.words import DECLINE_TEXTS, MERCHANT_CODE

from paygate.assemble import connect
from paygate.errors import BadSettings
from paygate.ledger import MemoryLedger
from paygate.model import ClientCall
from paygate.testing import EmulatorTransport, pages
from paygate.testing.emulator import Call, FaultKind
from paygate.wire import Response

PARAMS = {"merchant_uid": "o-1", "name": "Book", "amount": 14_000, "naverPopupMode": True,
          "m_redirect_url": "http://127.0.0.1:1/back?mine=1", "buyer_tel": "010-0000-0000"}
TELLS = {"origin": "http://127.0.0.1:8000", "nonce": "1-2-3-4"}
HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e"


def get(pg: PortOneEmulator, path: str) -> Response:
    return _whole(pg.handle(Call("GET", path)))


def post(pg: PortOneEmulator, path: str, fields: dict[str, str] | None = None) -> Response:
    return _whole(pg.handle(Call("POST", path, {"content-type": "application/x-www-form-urlencoded"},
                                 urlencode(fields or {}).encode())))


def opened(pg: PortOneEmulator, *, tells: Any = None, code: str = MERCHANT_CODE, **changes: Any) -> str:
    """The path of the page that the script's stand-in goes to."""
    asked = {"code": code, "params": {**PARAMS, **changes}, "tells": tells}
    answer = _whole(pg.handle(Call("POST", "/__page__/windows", {"content-type": "application/json"},
                                   json.dumps(asked).encode())))
    assert answer.status == 200
    return str(json.loads(answer.body)["page"])


def todo(answer: Response) -> dict[str, Any]:
    """What the page's script is to do."""
    found = re.search(r'data-todo="([^"]*)"', answer.body.decode())
    return {} if found is None else json.loads(unescape(found[1]))


def _whole(answer: Any) -> Response:
    assert isinstance(answer, Response)
    return answer


def status(pg: PortOneEmulator, order_id: str = "o-1") -> str:
    return pg.shop.by_order[order_id][-1].status


def test_the_sandboxes_settings_make_the_merchants_page_load_the_stand_in() -> None:
    pg = PortOneEmulator()
    settings = {**pg.settings(), "script_url": "http://127.0.0.1:8081/__page__/standin.js"}
    with connect("portone-naverpay", settings, ledger=MemoryLedger(), http=EmulatorTransport(pg),
                 clock=pg.clock) as gate:
        command = pg.story().pay
        assert command is not None
        action = gate.pay(command).action

    assert isinstance(action, ClientCall)
    assert (action.script, action.function) == (settings["script_url"], "IMP.request_pay")
    assert get(pg, "/__page__/standin.js").status == 200


@pytest.mark.parametrize(("change", "named"), [
    ({"script_url": "http://evil.example/x.js"}, "script_url"), ({"script_url": None}, "script_url"),
    ({"script_url": "javascript:alert(1)"}, "script_url"),
    ({"script_url": "http://127.0.0.1/x.js", "mode": "live"}, "script_url")])
def test_a_script_from_elsewhere_is_refused_and_live_mode_takes_https_only(change: dict[str, Any], named: str) -> None:
    given = PortOneEmulator().settings()
    with pytest.raises(BadSettings, match=named):
        Settings(**{**given, **change})
    assert Settings(**given).script_url.startswith("https://")


def test_the_stand_in_may_be_loaded_by_a_page_of_another_origin_and_holds_the_documented_calls() -> None:
    answer = get(PortOneEmulator(), "/__page__/standin.js")
    text = answer.body.decode()

    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert [name for name in ("init(", "agency(", "request_pay(params, callback)") if name not in text] == []
    assert "CARD_CHANNEL_KEY" not in text


def test_every_page_has_a_strict_policy_and_says_that_no_money_is_real() -> None:
    pg = PortOneEmulator()
    for path in ("/__page__/window", opened(pg), opened(pg, amount="x"), "/__page__/nothing"):
        answer = get(pg, path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert "Sandbox: no real money" in answer.body.decode()
        assert "<script>" not in answer.body.decode()


@pytest.mark.parametrize(("action", "state", "success"), [
    ("approve", "paid", True), ("decline", "failed", False), ("close", "ready", False)])
def test_a_pop_up_tells_its_opener_what_the_pgs_callback_would_be_given(action: str, state: str, success: bool) -> None:
    pg = PortOneEmulator()
    page = opened(pg, tells=TELLS)
    shown = todo(get(pg, page))
    assert shown["tells"] == TELLS
    assert (shown["ifGone"]["success"], shown["ifGone"]["error_code"]) == (False, "USER_CANCEL")
    assert status(pg) == "ready"
    assert pg.hooks == []

    told = todo(post(pg, f"{page}/{action}", {"message": DECLINE_TEXTS[1]}))

    assert (told["tells"], told["close"], told["result"]["success"]) == (TELLS, True, success)
    assert told["result"]["imp_uid"] == pg.shop.by_order["o-1"][0].imp_uid
    assert status(pg) == state
    assert len(pg.hooks) == success
    if action == "decline":
        assert told["result"]["error_msg"] == DECLINE_TEXTS[1] == pg.shop.by_order["o-1"][0].fail_reason


@pytest.mark.parametrize(("action", "success"), [("approve", "true"), ("decline", "false"), ("close", "false")])
def test_where_the_page_is_left_the_browser_is_sent_back_with_the_hints(action: str, success: str) -> None:
    pg = PortOneEmulator()

    answer = post(pg, f"{opened(pg, naverPopupMode=False)}/{action}")

    assert answer.status == 303
    parts = urlsplit(answer.headers["location"])
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.1:1/back"
    assert (query["mine"], query["merchant_uid"], query["imp_success"]) == (["1"], ["o-1"], [success])


def test_a_late_approval_arrives_when_the_payer_said_and_the_browser_brings_nothing() -> None:
    pg = PortOneEmulator()
    answer = post(pg, f"{opened(pg, tells=TELLS)}/late", {"after_s": "90"})

    assert todo(answer) == {"close": True}
    due, = pg.overview().dated
    assert (due.is_due, due.at - pg.clock.now()) == (True, timedelta(seconds=90))
    pg.clock.advance(89)
    assert pg.journal.entries == []
    pg.clock.advance(1)
    assert pg.journal.taken("o-1") == 14_000
    assert pg.overview().dated == ()
    assert len(pg.hooks) == 1


def test_a_window_is_decided_once_and_shown_again_it_tells_the_same() -> None:
    pg = PortOneEmulator()
    page = opened(pg, tells=TELLS)
    first = todo(post(pg, f"{page}/approve"))

    assert todo(post(pg, f"{page}/decline")) == first
    assert todo(get(pg, page)) == first
    assert pg.journal.charges("o-1") == 1


def test_a_window_that_a_test_decided_tells_its_page_too() -> None:
    pg = PortOneEmulator()
    page = opened(pg, tells=TELLS)
    pg.controls()["payer"](order_id="o-1", action="approve")

    assert todo(post(pg, f"{page}/close"))["result"]["success"] is True


@pytest.mark.parametrize("change", [{"amount": "14000"}, {"merchant_uid": ""}, {"channelKey": "channel-key-x"}])
@pytest.mark.parametrize("tells", [TELLS, None])
def test_a_window_that_would_not_open_shows_why_and_leads_back(change: dict[str, Any], tells: Any) -> None:
    pg = PortOneEmulator()
    page = get(pg, opened(pg, tells=tells, **change))

    assert "The PG did not open the window" in page.body.decode()
    assert pg.shop.payments == {}
    if tells:
        assert todo(page)["ifGone"]["imp_uid"] is None
        assert todo(page)["ifGone"]["error_msg"]
    else:
        assert "http://127.0.0.1:1/back?mine=1&amp;merchant_uid=" in page.body.decode()


def test_another_merchants_code_opens_nothing() -> None:
    pg = PortOneEmulator()

    assert opened(pg, code="imp99999999").startswith("/__page__/refusals/")
    assert pg.shop.windows == []


def test_hostile_text_is_shown_as_text() -> None:
    pg = PortOneEmulator()
    bodies = [get(pg, opened(pg, name=HOSTILE[:39], merchant_uid=HOSTILE[:30])).body.decode(),
              get(pg, opened(pg, name=HOSTILE[:39], merchant_uid="o-2", customer_uid="<b>key")).body.decode(),
              get(pg, opened(pg, amount=None, merchant_uid="<i>x", m_redirect_url="javascript:alert(1)")).body.decode(),
              post(pg, f"{opened(pg, merchant_uid='o-3')}/decline", {"message": "<u>no"}).headers["location"]]

    for body in bodies:
        for bad in ("<script>alert", "<b>", "<i>", "<u>", "\x1b", "\u202e", "javascript:alert(1)\""):
            assert bad not in body


@pytest.mark.parametrize(("method", "path", "body"), [
    ("GET", "/__page__/windows/window-9", b""), ("GET", "/__page__/refusals/1", b""),
    ("GET", "/__page__/refusals/0", b""), ("GET", "/__page__/refusals/%D9%A1", b""), ("GET", "/__page__/%ff", b""),
    ("PUT", "/__page__/windows/window-1", b""),
    ("POST", "/__page__/windows/window-1/refund", b""), ("POST", "/__page__/windows/window-1/approve/x", b""),
    ("POST", "/__page__/windows", b"["), ("POST", "/__page__/windows", b'{"params": 1}'), ("GET", "/__page__/", b""),
    ("GET", "/__page__/assets/../standin.js", b""), ("POST", "/__page__/window", b"")])
def test_whatever_is_asked_of_the_pages_is_answered_and_changes_nothing(method: str, path: str, body: bytes) -> None:
    pg = PortOneEmulator()
    opened(pg)

    answer = _whole(pg.handle(Call(method, path, {}, body)))

    assert answer.status in (400, 404)
    assert status(pg) == "ready"
    assert [w.is_open for w in pg.shop.windows] == [True]


SEGMENT = st.sampled_from(["windows", "window-1", "window", "standin.js", "refusals", "1", "approve", "late", "close",
                           "", "..", "%ff", "assets", "payer.css"]) | st.text(max_size=6).map(quote)
PATHS = st.lists(SEGMENT, max_size=4).map(lambda parts: "/__page__/" + "/".join(parts))
BODIES = st.binary(max_size=40) | st.sampled_from([
    b"{}", b'{"params": []}', b'{"code": 1, "params": {"m_redirect_url": 1}, "tells": {"origin": {}}}',
    b"after_s=-1&message=%00", json.dumps({"code": MERCHANT_CODE, "params": PARAMS}).encode()])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["GET", "POST", "PUT", "HEAD"]), PATHS, BODIES), min_size=1, max_size=3))
def test_whatever_is_sent_to_the_pages_is_answered_and_no_window_pays_twice(
        calls: list[tuple[str, str, bytes]]) -> None:
    pg = PortOneEmulator()
    opened(pg)
    for method, path, body in calls:
        assert _whole(pg.handle(Call(method, path, {}, body))).status < 500
    pg.clock.advance(86_400)
    assert pg.journal.charges("o-1") <= 1
    assert pg.overview() is not None


@pytest.mark.parametrize("fields", [{"after_s": "-1"}, {"after_s": "1e9"}, {"after_s": "9" * 12}, {"after_s": "x"}, {}])
def test_a_delay_that_is_none_becomes_the_usual_one(fields: dict[str, str]) -> None:
    pg = PortOneEmulator()
    post(pg, f"{opened(pg)}/late", fields)
    pg.clock.advance(pages.DELAY_S - 1)
    assert pg.journal.entries == []
    pg.clock.advance(1)
    assert pg.journal.charges("o-1") == 1


@pytest.mark.parametrize("tells", [1, {}, {"origin": "javascript:x", "nonce": "1"}, {"origin": "http://x", "nonce": 1},
                                   {"origin": "http://x", "nonce": "y" * 500}])
def test_a_page_tells_only_a_web_origin(tells: Any) -> None:
    pg = PortOneEmulator()

    assert "tells" not in todo(get(pg, opened(pg, tells=tells)))


def test_faults_for_any_call_leave_the_payers_pages_alone_and_named_ones_do_not() -> None:
    pg = PortOneEmulator()
    pg.fault(FaultKind.ERROR_500_BEFORE)
    assert get(pg, "/__page__/standin.js").status == 200
    assert get(pg, "/users/pg").status == 500
    for kind in FaultKind:
        pg.faults.clear()
        pg.fault(kind, on="GET /__page__/window$")
        assert pg.handle(Call("GET", "/__page__/window")) is not None
    pg.faults.clear()
    pg.fault(FaultKind.ERROR_500_BEFORE, on="standin")
    assert get(pg, "/__page__/standin.js").status == 500


def test_the_overview_shows_what_the_pg_holds() -> None:
    pg = PortOneEmulator(webhook_url="http://127.0.0.1:1/hook")
    page = opened(pg)
    seen = pg.overview()
    assert [(w.handle, w.order_id, w.page, w.takes_money) for w in seen.waiting] == [("window-1", "o-1", page, True)]
    assert seen.webhook_urls == (("webhook", "http://127.0.0.1:1/hook"),)
    post(pg, f"{opened(pg, merchant_uid='r-1', customer_uid='key-1')}/approve")
    pg.controls()["payer"](order_id="window-1")
    seen = pg.overview()
    assert seen.waiting == ()
    assert [(h.order_id, h.status, h.takes_money) for h in seen.held] == [("o-1", "paid", True), ("r-1", "paid", False)]
    assert [k.value for k in seen.keys] == ["key-1"]


def test_a_switch_is_turned_and_shown() -> None:
    pg = PortOneEmulator()
    controls = pg.controls()
    assert controls["switches"]()["hides_sandbox"] is True
    controls["switch"](name="hides_sandbox", value=False)
    controls["switch"](name="execution_lag_s", value=15)
    assert (pg.shop.switches.hides_sandbox, pg.shop.switches.execution_lag_s) == (False, 15.0)
    for name, value in (("other", True), ("hides_sandbox", 1), ("list_shape", "round"), ("minimum_won", "10")):
        with pytest.raises(ValueError, match=r"."):
            controls["switch"](name=name, value=value)
