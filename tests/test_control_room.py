"""The control room over HTTP: its page, what it is made of, whom it refuses, and the overview it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import paygate
from paygate import KeyVault, new_vault_key
from paygate.assemble import connect
from paygate.commands import Customer, DatedCharge, Pay, Schedule
from paygate.ledger import MemoryLedger
from paygate.model import BillingKey
from paygate.money import LIMIT, Money
from paygate.sandbox import Sandbox, showing
from paygate.subscriptions import Interval, SubscribeKey
from paygate.testing.emulator import Call, Emulator, VirtualClock, json_response
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.overview import Overview
from paygate.wire import Response

ROOM = Path(paygate.__file__).parent / "sandbox" / "room"
FILES = {"/": "text/html", "/room.html": "text/html", "/room.js": "text/javascript", "/room.css": "text/css"}
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"
PROVIDERS = ["fakepg", "portone-naverpay", "steppay-managed", "steppay-unmanaged"]


class Sender(Emulator):
    """Holds nothing; sends what it is told to."""

    name = "sender"

    def answer(self, call: Call) -> Response:
        return json_response(200, b"{}")

    def settings(self) -> dict[str, Any]:
        return {"mode": "test"}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    clock = VirtualClock()
    with Sandbox([FakePG(clock), Sender(clock)]) as running:
        yield running


@pytest.fixture
def client(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.control_url, trust_env=False, timeout=10, headers={"accept": "text/html"}) as made:
        yield made


def _overview(client: httpx.Client, name: str = "fakepg") -> dict[str, Any]:
    shown = client.get("/overview").json()["gateways"]
    return next(gateway for gateway in shown if gateway["name"] == name)


# The page

@pytest.mark.parametrize(("path", "kind"), FILES.items())
def test_the_page_its_script_and_its_style_are_served_with_a_strict_policy(
        client: httpx.Client, path: str, kind: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert client.head(path).content == b""


def test_a_program_gets_the_index_as_json_at_the_same_address(client: httpx.Client) -> None:
    for accepted in ("application/json", "*/*", ""):
        assert client.get("/", headers={"accept": accepted}).json()["banner"] == "sandbox: no real money"


@pytest.mark.parametrize("path", ["/room", "/room/room.js", "/room.py", "/%2e%2e/room.js"])
def test_nothing_else_is_served_as_a_file(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_it_asks_nobody_else_for_anything_and_holds_no_inline_code() -> None:
    texts = {name: (ROOM / name).read_text(encoding="utf-8") for name in ("room.html", "room.js", "room.css")}

    for name, text in texts.items():
        urls = re.findall(r"(?:https?:)?//[\w.-]+\.[\w-]+[^\s\"'`<]*", text)
        assert [url for url in urls if "127.0.0.1" not in url] == [], name
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", texts["room.html"]) == []
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    assert re.findall(unsafe, texts["room.js"]) == []
    assert re.findall(r"@import|url\(", texts["room.css"]) == []


def test_every_control_of_the_page_has_a_label_and_every_link_within_it_leads_somewhere() -> None:
    html = (ROOM / "room.html").read_text(encoding="utf-8")

    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|aria-labelledby="([^"]+)"', html)) - {(i, "") for i in ids} - {
        ("", i) for i in ids} == set()
    for field in re.finditer(r"<(?:input|select|textarea)\b", html):
        before = html[:field.start()]
        assert before.rfind("<label") > before.rfind("</label"), html[field.start():field.start() + 60]
    assert "Sandbox: no real money" in html


def test_every_part_of_the_page_that_the_script_asks_for_is_there() -> None:
    html, script = ((ROOM / name).read_text(encoding="utf-8") for name in ("room.html", "room.js"))

    asked = set(re.findall(r'\$\("#([\w-]+)', script)) | set(re.findall(r'onSubmit\("#([\w-]+)"', script))
    assert asked - set(re.findall(r'\bid="([^"]+)"', html)) == set()
    for name in re.findall(r'section\("(\w+)"', script):
        assert f'data-list="{name}"' in html


# Strangers

@pytest.mark.parametrize("path", [*FILES, "/overview", "/gateways/fakepg/hooks/0"])
def test_another_host_or_another_sites_page_gets_nothing(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"host": "evil.example"}).status_code == 421
    assert client.get(path, headers={"origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize(("method", "path", "body"), [
    ("DELETE", "/gateways/fakepg/faults/1", None), ("DELETE", "/gateways/fakepg/faults", None),
    ("POST", "/gateways/sender/hooks/0/redeliver", {}),
    ("POST", "/gateways/fakepg/controls/payer", {"order_id": "o1"})])
def test_nothing_is_changed_for_another_sites_page(
        box: Sandbox, client: httpx.Client, method: str, path: str, body: Any) -> None:
    box.fault("fakepg", "drop_after")
    with box.lock:
        box.emulator("fakepg").windows["o1"] = {"order_id": "o1", "amount": 100, "currency": "KRW"}  # type: ignore[attr-defined]
        box.emulator("sender").send_hook("http://127.0.0.1:9/x", {}, b"{}")
    box.wait_for_hooks()
    before = client.get("/overview").json()["gateways"]

    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"host": "evil.example"}):
        assert client.request(method, path, json=body, headers=headers).status_code in (403, 421)
    assert client.get("/overview").json()["gateways"] == before


# What it shows

def test_an_empty_sandbox_shows_the_clock_and_empty_lists(box: Sandbox, client: httpx.Client) -> None:
    shown = client.get("/overview").json()

    assert shown["now"] == box.clock.now().isoformat()
    assert [gateway["name"] for gateway in shown["gateways"]] == ["fakepg", "sender"]
    lists = ("waiting", "held", "keys", "dated", "running", "journal", "totals", "hooks", "faults")
    assert {name: _overview(client)[name] for name in lists} == {name: [] for name in lists}


def test_money_dates_keys_and_refunds_are_shown_newest_first(box: Sandbox, client: httpx.Client) -> None:
    won = Money(14_000, "KRW")
    key = BillingKey("fakepg", box.do("fakepg", "issue_key", key="payer-1"))
    with connect(FAKEPG, box.settings("fakepg"), ledger=MemoryLedger(), base_url=box.url("fakepg"),
                 clock=box.clock) as gate:
        gate.schedule(Schedule(billing_key=key, charges=[
            DatedCharge(order_id=f"d{n}", due_at=box.clock.now() + timedelta(days=n), money=won, title="plan")
            for n in (1, 2)]))
    box.advance(86_400)
    shown = _overview(client)

    assert [k["value"] for k in shown["keys"]] == ["payer-1"]
    assert [(d["order_id"], d["is_due"]) for d in shown["dated"]] == [("d1", False), ("d2", True)]
    assert [(h["order_id"], h["status"], h["money"]["text"]) for h in shown["held"]] == [("d1", "paid", "14,000 KRW")]
    assert [(m["order_id"], m["kind"]) for m in shown["journal"]] == [("d1", "charge")]
    total, = shown["totals"]
    assert (total["charged"]["amount"], total["refunded"]["amount"], total["kept"]["text"]) == (14_000, 0, "14,000 KRW")
    assert [hook["n"] for hook in shown["hooks"]] == [0]
    assert shown["counts"]["journal"] == 1


def test_what_paygate_itself_has_due_is_shown_from_the_merchants_ledger(
        box: Sandbox, client: httpx.Client, tmp_path: Path) -> None:
    won, now = Money(14_000, "KRW"), box.clock.now()
    key = BillingKey("fakepg", box.do("fakepg", "issue_key", key="payer-1"))
    assert not _overview(client)["is_ledger_shown"]
    with connect(FAKEPG, box.settings("fakepg"), ledger=str(tmp_path / "ledger.db"), base_url=box.url("fakepg"),
                 clock=box.clock, vault=KeyVault(new_vault_key())) as gate:
        box.show_ledger("fakepg", tmp_path / "ledger.db")
        gate.subscribe_key(SubscribeKey(order_id="sub-1", billing_key=key, money=won, every=Interval("month"),
                                        title="tea", run_by="paygate"))
        gate.schedule(Schedule(billing_key=key, run_by="paygate", charges=[
            DatedCharge(order_id="d1", due_at=now + timedelta(days=2), money=won, title="plan")]))

        shown = _overview(client)

        assert shown["is_ledger_shown"]
        assert [(d["order_id"], d["is_due"], d["money"]["text"]) for d in shown["dated"]] == [
            ("d1", True, "14,000 KRW"), ("sub-1-2", True, "14,000 KRW")]
        assert shown["dated"][1]["at"] > (now + timedelta(days=27)).isoformat()
        box.advance(2 * 86_400 + 60)
        gate.run_due()
        assert [d["order_id"] for d in _overview(client)["dated"]] == ["sub-1-2"]


def test_an_order_that_the_gateway_calls_otherwise_is_shown_under_the_merchants_own_id_too(tmp_path: Path) -> None:
    with Sandbox(["steppay-managed"]) as box, connect(
            "steppay-managed", box.settings("steppay-managed"), ledger=str(tmp_path / "ledger.db"),
            base_url=box.url("steppay-managed"), clock=box.clock) as gate:
        box.show_ledger("steppay-managed", tmp_path / "ledger.db")
        gate.pay(Pay(order_id="mine-1", money=Money(14_000, "KRW"), title="book", return_url="http://127.0.0.1:1/back",
                     customer=Customer(name="Kim Minji", phone="010-1234-5678", email="minji@example.com")))
        held, = showing.overview(box)["gateways"][0]["held"]
    assert (held["own_id"], held["order_id"] != "mine-1") == ("mine-1", True)


def test_a_ledger_that_cannot_be_read_takes_nothing_from_the_room(
        box: Sandbox, client: httpx.Client, tmp_path: Path) -> None:
    with connect(FAKEPG, box.settings("fakepg"), ledger=str(tmp_path / "ledger.db"), base_url=box.url("fakepg"),
                 clock=box.clock):
        box.show_ledger("fakepg", tmp_path / "ledger.db")
        with box.lock:
            box.merchants["fakepg"].close()
        assert _overview(client)["dated"] == []


def test_a_webhook_is_shown_with_its_headers_and_its_body(box: Sandbox, client: httpx.Client) -> None:
    with box.lock:
        box.emulator("sender").send_hook("http://127.0.0.1:9/hook?a=1", {"X-Signature": "s"}, b'{"paid": "\xff"}')

    assert client.get("/gateways/sender/hooks/0").json() == {
        "n": 0, "at": box.clock.now().isoformat(), "url": "http://127.0.0.1:9/hook?a=1",
        "headers": {"x-signature": "s"}, "body": '{"paid": "\ufffd"}', "body_bytes": 13}
    for number in ("1", "x", "-1", "%D9%A1"):
        assert client.get(f"/gateways/sender/hooks/{number}").status_code == 404


def test_so_much_of_a_long_list_is_shown_as_a_page_can_hold_and_the_rest_is_counted(
        box: Sandbox, client: httpx.Client) -> None:
    with box.lock:
        for n in range(showing.MOST + 5):
            box.emulator("sender").move("charge", f"o{n}", f"p{n}", Money(1, "KRW"))
            box.emulator("sender").send_hook("", {}, str(n).encode())
    shown = _overview(client, "sender")

    assert len(shown["journal"]) == len(shown["hooks"]) == showing.MOST
    assert shown["journal"][0]["order_id"] == f"o{showing.MOST + 4}"
    assert (shown["counts"]["journal"], shown["counts"]["hooks"]) == (showing.MOST + 5, showing.MOST + 5)
    assert shown["totals"][0]["charged"]["amount"] == showing.MOST + 5


def test_sums_beyond_any_amount_and_below_nothing_are_shown_too(box: Sandbox, client: httpx.Client) -> None:
    with box.lock:
        for kind, currency, amount in (("charge", "KRW", LIMIT), ("charge", "KRW", LIMIT), ("refund", "USD", 100)):
            box.emulator("sender").move(kind, "o", "p", Money(amount, currency))
    won, dollars = _overview(client, "sender")["totals"]

    assert won["kept"]["amount"] == 2 * LIMIT
    assert dollars["kept"] == {"amount": -100, "currency": "USD", "text": "-1.00 USD"}


class Faulty(Sender):
    """Breaks the rule that an overview does not raise."""

    name = "faulty"

    def overview(self, most: int = 200) -> Overview:
        raise RuntimeError("a bug")


def test_a_gateway_whose_overview_has_a_bug_takes_the_room_from_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    with Sandbox([FakePG(clock), Faulty(clock)]) as box:
        shown = httpx.get(f"{box.control_url}/overview", trust_env=False).json()["gateways"]

    assert [gateway["name"] for gateway in shown] == ["fakepg", "faulty"]
    assert "the overview of faulty failed" in caplog.text


@pytest.mark.parametrize("body", [{"order_id": ["x"], "amount": 1, "currency": "KRW"}, {"order_id": "o"},
                                  {"order_id": "o", "amount": "1", "currency": "KRW"}, {"order_id": "o", "amount": 1}])
def test_what_fakepg_cannot_take_is_refused_and_never_shown(box: Sandbox, client: httpx.Client, body: Any) -> None:
    pg = httpx.Client(base_url=box.url("fakepg"), trust_env=False)
    with pg:
        token = pg.post("/token", json={"api_key": "k"}).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        assert pg.post("/windows", json=body, headers=headers).status_code == 400
        for due_at in ("2026-02-01T00:00:00", "x"):
            item = {"order_id": "o", "amount": 1, "currency": "KRW", "due_at": due_at}
            asked = {"key": "k", "items": [{**item, **body} if due_at == "x" else item]}
            assert pg.post("/schedules", json=asked, headers=headers).status_code == 400
    assert (_overview(client)["waiting"], _overview(client)["dated"]) == ([], [])


def test_hostile_text_leaves_the_api_as_json_and_nothing_else(box: Sandbox, client: httpx.Client) -> None:
    with box.lock:
        pg = box.emulator("fakepg")
        assert isinstance(pg, FakePG)
        pg.windows[HOSTILE] = {"order_id": HOSTILE, "amount": 100, "currency": "KRW"}
        pg.payer(HOSTILE, "decline", message=HOSTILE)
        pg.move("charge", HOSTILE, HOSTILE, Money(100, "KRW"))
        pg.send_hook(f"http://127.0.0.1:9/{HOSTILE}", {"x": HOSTILE}, HOSTILE.encode())
    for path in ("/overview", "/gateways/fakepg/hooks/0"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [bad for bad in ("\x1b", "\u202e") if bad in answer.text]
    assert _overview(client)["held"][0]["note"] == HOSTILE
    page = client.get(box.url("fakepg") + "/__page__/%3Cscript%3Ealert(1)%3C/script%3E%1B[31m%E2%80%AE")
    assert not [bad for bad in ("<script>alert", "\x1b", "\u202e") if bad in page.text]


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_calls_it_tells_a_newcomer_to_type_begin_a_payment(name: str, tmp_path: Path) -> None:
    with Sandbox([name], start=datetime(2026, 1, 5, 3, 0, tzinfo=UTC)) as box:
        shown, = httpx.get(f"{box.control_url}/gateways", trust_env=False).json()["gateways"]
        said = f"{shown['connect']}\n{shown['pay']}".replace("'sandbox.db'", repr(str(tmp_path / "sandbox.db")))
        names: dict[str, Any] = {}
        exec(compile(said.replace("print(", "shown = ("), "snippet", "exec"), names)
        with names["gate"]:
            action = names["shown"]
            assert action["type"] in ("redirect", "client_call")
            assert box.url(name) in json.dumps(action)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_gateway_brings_what_the_page_offers(name: str) -> None:
    with Sandbox([name]) as box:
        shown, = httpx.get(f"{box.control_url}/gateways", trust_env=False).json()["gateways"]
        controls = httpx.get(f"{box.control_url}/gateways/{name}/controls", trust_env=False).json()["controls"]

        assert shown["endpoints"]
        assert [e for e in shown["endpoints"] if not re.search(e["on"], e["name"].replace("{}", "x"))] == []
        assert len(shown["decline_reasons"]) > 2
        assert {"payer", "set_webhook_url"} <= {control["name"] for control in controls}
        assert [control["name"] for control in controls if not control["about"]] == []
        urls = httpx.get(f"{box.control_url}/overview", trust_env=False).json()["gateways"][0]["webhook_urls"]
        assert urls


@pytest.mark.checkout
def test_every_picture_is_shown_on_a_page_and_is_small() -> None:
    docs = Path(__file__).parents[1] / "docs"
    pictures = sorted((docs / "pictures").glob("*"))

    pages = "".join(page.read_text(encoding="utf-8") for page in docs.glob("*.md"))
    shown = re.findall(r"!\[[^\]]{15,}\]\((pictures/[\w-]+\.png)\)", pages)
    assert sorted(shown) == [f"pictures/{picture.name}" for picture in pictures]
    assert [picture.name for picture in pictures if picture.stat().st_size >= 150_000] == []
