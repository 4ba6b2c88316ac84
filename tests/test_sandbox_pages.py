"""The payer's pages over sockets: what every one of them is made of, FakePG's own, and whom they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from paygate.assemble import connect
from paygate.commands import Pay, Register
from paygate.errors import Declined
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.model import PaymentStatus, Redirect
from paygate.money import Money
from paygate.sandbox import Sandbox
from paygate.testing import pages
from paygate.testing.emulator import VirtualClock
from paygate.testing.fakepg import FAKEPG, FakePG

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e"
BACK = "http://127.0.0.1:1/back?mine=1"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox([FakePG(VirtualClock())]) as running:
        yield running


@pytest.fixture
def gate(box: Sandbox) -> Iterator[Gateway]:
    with connect(FAKEPG, box.settings("fakepg"), ledger=MemoryLedger(), base_url=box.url("fakepg"),
                 clock=box.clock) as made:
        yield made


@pytest.fixture
def browser(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.url("fakepg"), trust_env=False, timeout=10) as made:
        yield made


def _page(gate: Gateway, order_id: str = "o1") -> str:
    """The path of the page that `pay` sends the payer to."""
    action = gate.pay(Pay(order_id=order_id, money=Money(14_000, "KRW"), title="book", return_url=BACK)).action
    assert isinstance(action, Redirect)
    return urlsplit(action.url).path


# What pages are made of

@pytest.mark.parametrize(("name", "kind"), [("payer.css", "text/css"), ("payer.js", "text/javascript")])
def test_the_pages_style_and_script_come_from_the_gateway_itself(browser: httpx.Client, name: str, kind: str) -> None:
    answer = browser.get(f"/__page__/assets/{name}")

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "://" not in answer.text.replace("`http://", "")


@pytest.mark.parametrize("path", ["/__page__/assets/standin.js", "/__page__/assets/../emulator.py", "/__page__/assets/",
                                  "/__page__/assets/__init__.py"])
def test_nothing_else_of_the_package_is_served(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_text_is_shown_as_text_and_what_does_not_print_is_made_visible() -> None:
    assert pages.shown(HOSTILE) == ("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;\\x1b[31m\\u202e")
    made = pages.page(HOSTILE, pages.bill([(HOSTILE, HOSTILE)]) + pages.way_back(f"http://x/{HOSTILE}"),
                      script={"result": HOSTILE}).body.decode()
    assert not [bad for bad in ("<script>", "\x1b", "\u202e") if bad in made]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "http://[", "", "x"])
def test_only_an_address_of_the_web_becomes_a_link(url: str) -> None:
    assert "<a " not in pages.way_back(url)
    assert "<a " in pages.way_back("http://127.0.0.1:8000/한글?a=1")
    pages.see_other("http://127.0.0.1/한글\ud800").headers["location"].encode("ascii")


# FakePG's page

@pytest.mark.parametrize(("act", "status"), [("approve", "paid"), ("decline", "failed"), ("close", "pending")])
def test_a_payer_decides_on_the_page_and_comes_back_to_the_shop(
        gate: Gateway, browser: httpx.Client, act: str, status: str) -> None:
    page = _page(gate)
    shown = browser.get(page)
    assert "Sandbox: no real money" in shown.text
    assert "14,000 KRW" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]

    answer = browser.post(f"{page}/{act}", data={"message": "over the limit"})

    assert (answer.status_code, answer.headers["location"].startswith(BACK)) == (303, True)
    query = {name: value[0] for name, value in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    if act == "decline":
        with pytest.raises(Declined) as no:
            gate.confirm("o1", query)
        assert no.value.message == "over the limit"
    else:
        assert gate.confirm("o1", query).status is PaymentStatus(status)


def test_a_paid_order_has_nothing_to_press_and_cannot_be_paid_again(
        box: Sandbox, gate: Gateway, browser: httpx.Client) -> None:
    page = _page(gate)
    browser.post(f"{page}/approve")

    assert "<form" not in browser.get(page).text
    assert browser.post(f"{page}/approve").status_code == 303
    assert box.emulator("fakepg").journal.charges("o1") == 1


def test_a_late_approval_arrives_and_a_registration_takes_nothing(
        box: Sandbox, gate: Gateway, browser: httpx.Client) -> None:
    browser.post(f"{_page(gate)}/late", data={"after_s": "60"})
    box.advance(60)
    gate.register(Register(order_id="r1", money=Money(14_000, "KRW"), title="plan", return_url=BACK))
    assert "Nothing is charged now" in browser.get("/__page__/r1").text
    browser.post("/__page__/r1/approve")

    pg = box.emulator("fakepg")
    assert [m.order_id for m in pg.journal.entries] == ["o1"]
    assert [(h.order_id, h.takes_money) for h in pg.overview().held] == [("o1", True), ("r1", False)]


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/__page__/o2"), ("POST", "/__page__/o1/refund"), ("PUT", "/__page__/o1/approve"), ("GET", "/__page__/"),
    ("GET", "/__page__/o1/approve"), ("GET", "/__page__/%3Cscript%3E")])
def test_a_page_that_is_not_there_is_told_and_moves_nothing(
        box: Sandbox, gate: Gateway, browser: httpx.Client, method: str, path: str) -> None:
    _page(gate)
    assert browser.request(method, path).status_code == 404
    assert box.emulator("fakepg").journal.entries == []


def test_two_sandboxes_give_no_id_twice() -> None:
    ids = set()
    for salt in ("a", "b"):
        pg = FakePG(VirtualClock())
        pg.salt = salt
        pg.windows["o1"] = {"order_id": "o1", "amount": 100, "currency": "KRW"}
        came = pg.payer("o1")
        assert came is not None
        ids.add(came["payment_id"])
    assert len(ids) == 2


# Strangers

@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_a_name_that_was_rebound_to_this_machine_gets_no_page(
        box: Sandbox, gate: Gateway, browser: httpx.Client, host: str) -> None:
    page = _page(gate)
    for answer in (browser.get(page, headers={"host": host}), browser.post(f"{page}/approve", headers={"host": host})):
        assert (answer.status_code, "14,000" in answer.text) == (421, False)
    assert box.emulator("fakepg").journal.entries == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "http://localhost"])
def test_another_sites_page_cannot_act_for_the_payer(
        box: Sandbox, gate: Gateway, browser: httpx.Client, origin: str) -> None:
    page = _page(gate)

    assert browser.post(f"{page}/approve", headers={"origin": origin}).status_code == 403
    assert box.emulator("fakepg").journal.entries == []
    assert browser.post(f"{page}/approve", headers={"origin": box.url("fakepg")}).status_code == 303


def test_no_page_keeps_a_browser_from_saying_whose_page_acts(gate: Gateway, browser: httpx.Client) -> None:
    # With "no-referrer" a browser sends "Origin: null" along with a page's own form, which would be refused.
    assert browser.get(_page(gate)).headers["referrer-policy"] == "same-origin"
