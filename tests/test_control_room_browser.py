"""The control room in a real browser, as a person uses it: approve, break, turn the clock, deliver again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from chromium import launched, merchant_page, watched

from paygate.assemble import connect
from paygate.commands import Charge, DatedCharge, Pay, Schedule
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.model import BillingKey, Redirect
from paygate.money import Money
from paygate.sandbox import Sandbox
from paygate.testing.fakepg import FAKEPG, FakePG

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\x1b[31m\u202e"
WON = Money(14_000, "KRW")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(["fakepg", "steppay-managed"], start=datetime(2026, 1, 5, 3, 0, tzinfo=UTC)) as running:
        yield running


@pytest.fixture
def gate(box: Sandbox) -> Iterator[Gateway]:
    with connect(FAKEPG, box.settings("fakepg"), ledger=MemoryLedger(), base_url=box.url("fakepg"),
                 clock=box.clock) as made:
        yield made


@pytest.fixture
def room(browser: Browser, box: Sandbox) -> Iterator[Page]:
    with watched(browser) as window:
        page = window.page()
        page.goto(box.control_url)
        page.locator("#live.good").wait_for()
        yield page


def _pay(gate: Gateway, order_id: str = "o1") -> None:
    gate.pay(Pay(order_id=order_id, money=WON, title="book", return_url="http://127.0.0.1:1/back"))


def _items(room: Page, name: str) -> Locator:
    """The rows of a list."""
    return room.locator(f'[data-list="{name}"] > *')


def _item(room: Page, name: str, text: str) -> Locator:
    """The one row of a list that holds the text; waits until it is there."""
    found = _items(room, name).filter(has_text=text)
    found.wait_for()
    return found


def _until_empty(room: Page, name: str) -> None:
    _items(room, name).first.wait_for(state="detached")


def _connect_and_charge(gate: Gateway, box: Sandbox, order_id: str) -> Any:
    key = BillingKey("fakepg", box.do("fakepg", "issue_key", key="payer-1"))
    return gate.charge(Charge(order_id=order_id, billing_key=key, money=WON, title="plan"))


def test_an_empty_room_says_what_to_type_next(room: Page, box: Sandbox) -> None:
    assert "no real money" in room.locator(".banner").inner_text()
    code = room.locator("#first pre").inner_text()
    assert "gate = connect(FAKEPG, {" in code
    assert f"base_url='{box.url('fakepg')}'" in code
    assert "gate.pay(Pay(" in code
    for name in ("held", "keys", "dated", "hooks", "journal", "faults"):
        assert room.locator(f'[data-empty="{name}"]').is_visible()
    room.select_option("#filter", "steppay-managed")
    room.locator("#first pre", has_text="connect('steppay-managed', {").wait_for()


def test_a_payment_is_approved_and_then_stands_among_the_payments_and_in_the_journal(
        room: Page, box: Sandbox, gate: Gateway) -> None:
    _pay(gate)
    card = _item(room, "waiting", "o1")
    assert "14,000 KRW" in card.inner_text()
    assert box.emulator("fakepg").journal.entries == []

    card.get_by_role("button", name="Approve").click()

    assert "paid" in _item(room, "held", "o1").inner_text()
    text = _item(room, "journal", "o1").inner_text()
    assert ("−14,000 KRW" in text, "+14,000 KRW" in text) == (True, True)
    assert "14,000 KRW charged" in room.locator('[data-list="totals"]').inner_text()
    assert "payment_id" in room.locator("#brought").inner_text()
    _until_empty(room, "waiting")
    assert gate.confirm("o1", {}).status.value == "paid"


def test_a_decline_has_the_reason_that_was_chosen(room: Page, box: Sandbox, gate: Gateway) -> None:
    _pay(gate)
    card = _item(room, "waiting", "o1")
    card.get_by_label("Reason of the decline").select_option("over the limit")
    card.get_by_role("button", name="Decline").click()

    text = _item(room, "held", "over the limit").inner_text()
    assert "failed" in text


@pytest.mark.parametrize("followed", [True, False])
def test_it_tells_where_the_browser_goes_or_that_none_was_there(
        room: Page, box: Sandbox, followed: bool) -> None:
    with connect("steppay-managed", box.settings("steppay-managed"), ledger=MemoryLedger(), clock=box.clock,
                 base_url=box.url("steppay-managed")) as gate:
        command = box.emulator("steppay-managed").story().pay
        assert command is not None
        action = gate.pay(command).action
    assert isinstance(action, Redirect)
    if followed:
        httpx.get(action.url, trust_env=False)
    _item(room, "waiting", "order_").get_by_role("button", name="Approve").click()

    if followed:
        link = room.get_by_role("link", name="Send the browser back to the shop")
        assert str(link.get_attribute("href")).startswith(command.return_url)
    else:
        room.locator("#brought", has_text="no browser had followed the link").wait_for()


def test_a_fault_is_dialled_at_an_endpoint_met_by_the_merchant_and_used_up(
        room: Page, box: Sandbox, gate: Gateway) -> None:
    form = room.locator("#fault")
    form.locator("[name=gateway]").select_option("fakepg")
    form.locator("[name=endpoint]").select_option(label="POST /charges")
    form.locator("[name=kind]").select_option("drop_after")
    form.get_by_role("button", name="Dial it").click()
    assert "1 more time" in _item(room, "faults", "drop_after").inner_text()

    paid = _connect_and_charge(gate, box, "o1")

    assert paid.status.value == "paid"
    assert [(c.method, c.path) for c in box.emulator("fakepg").calls].count(("POST", "/charges")) == 1
    _until_empty(room, "faults")
    assert "paid" in _item(room, "held", "o1").inner_text()


def test_a_fault_is_taken_back(room: Page, box: Sandbox) -> None:
    box.fault("fakepg", "drop_after", on="GET /x")
    box.fault("fakepg", "error_500_before")
    _item(room, "faults", "GET /x").get_by_role("button", name="Remove").click()

    _items(room, "faults").filter(has_text="GET /x").wait_for(state="detached")
    assert [f.kind.value for f in box.emulator("fakepg").faults] == ["error_500_before"]


def test_the_clock_is_turned_to_what_is_due_next_and_by_an_amount(room: Page, box: Sandbox, gate: Gateway) -> None:
    key = BillingKey("fakepg", box.do("fakepg", "issue_key", key="payer-1"))
    gate.schedule(Schedule(billing_key=key, charges=[DatedCharge(
        order_id="d1", due_at=box.clock.now() + timedelta(days=3), money=WON, title="plan")]))
    room.locator("#next", has_text="in 3 days").wait_for()

    room.locator("#next").get_by_role("button", name="Advance to it").click()

    _item(room, "dated", "executed")
    assert box.emulator("fakepg").journal.taken("d1") == 14_000
    before = box.clock.now()
    room.get_by_role("button", name="+ 1 week").click()
    room.locator("#said", has_text="It is 2026-01-15").wait_for()
    assert box.clock.now() - before >= timedelta(days=7)
    room.get_by_text("Advance by another time").click()
    room.get_by_label("Advance to (Korean time)").fill("2026-02-01T09:00:00")
    room.locator("#to button").click()
    room.locator("#now", has_text="2026-02-01 09:00").wait_for()
    assert box.clock.now() >= datetime(2026, 2, 1, tzinfo=UTC)


def test_a_webhook_is_shown_with_its_body_and_delivered_again(room: Page, box: Sandbox) -> None:
    with merchant_page() as shop:
        form = room.locator("#hook-url")
        form.locator("[name=gateway]").select_option("fakepg")
        form.get_by_label("Send its webhooks to").fill(f"{shop.url}/hooks")
        form.get_by_role("button", name="Save").click()
        room.locator("#hook-urls", has_text=f"{shop.url}/hooks").wait_for()
        with box.lock:
            pg = box.emulator("fakepg")
            assert isinstance(pg, FakePG)
            pg.send_hook(pg.webhook_url, {"content-type": "application/json"}, b'{"order_id": "o1"}')
        card = _item(room, "hooks", "delivered 200")
        card.get_by_text("Body, 18 bytes").click()
        card.locator("pre", has_text='"order_id": "o1"').wait_for()

        card.get_by_role("button", name="Deliver again").press("Enter")

        _item(room, "hooks", "deliveries: delivered 200, delivered 200")
        assert room.evaluate("document.activeElement.dataset.focus") == "hook fakepg 0"
        assert shop.hooks == [b'{"order_id": "o1"}'] * 2
        assert card.locator("pre", has_text='"order_id": "o1"').is_hidden() is False


def test_a_page_without_a_shop_is_the_payers_browser(room: Page, box: Sandbox) -> None:
    room.locator("#control [name=gateway]").select_option("fakepg")
    room.locator("#control [name=control]").select_option("issue_key")
    room.get_by_label("Arguments").fill('{"key": "payer-9"}')
    room.get_by_role("button", name="Do it").click()
    assert "payer-9" in _item(room, "keys", "payer-9").inner_text()
    assert room.locator("#result").inner_text() == '"payer-9"'


def test_it_can_be_used_with_the_keyboard_alone_and_focus_stays_while_it_lives(
        room: Page, box: Sandbox, gate: Gateway) -> None:
    _pay(gate, "o1")
    _item(room, "waiting", "o1")
    for _ in range(60):
        room.keyboard.press("Tab")
        if room.evaluate("document.activeElement.textContent.startsWith('Approve')"):
            break
    room.evaluate("document.activeElement.seen = true")
    _pay(gate, "o2")
    _item(room, "waiting", "o2")
    assert room.evaluate("document.activeElement.dataset.focus") == "fakepg o1 approve"
    assert room.evaluate("document.activeElement.seen") is True
    room.keyboard.press("Enter")

    _item(room, "held", "o1")
    assert box.emulator("fakepg").journal.charges("o1") == 1


def test_hostile_text_is_shown_as_text(room: Page, box: Sandbox) -> None:
    with box.lock:
        pg = box.emulator("fakepg")
        assert isinstance(pg, FakePG)
        pg.windows[HOSTILE] = {"order_id": HOSTILE, "amount": 100, "currency": "KRW"}
        pg.payer(HOSTILE, "decline", message=HOSTILE)
        pg.send_hook("http://127.0.0.1:9/x", {"x": HOSTILE}, HOSTILE.encode())
        pg.keys[HOSTILE] = pg.issue_key(HOSTILE) and pg.keys[HOSTILE]
    _item(room, "keys", "<img src=x")
    _item(room, "hooks", "Webhook 0").get_by_text("Body,").click()
    room.locator("#webhooks pre", has_text="<script>").first.wait_for()

    text = room.locator("main").inner_text()
    assert text.count("<img src=x onerror=alert(1)><script>alert(2)</script>\\u{1b}[31m\\u{202e}") > 3
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
    assert room.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_text_can_be_read(
        browser: Browser, box: Sandbox, gate: Gateway, scheme: Any) -> None:
    _pay(gate, "order-" + "9" * 30)
    box.do("fakepg", "payer", order_id="order-" + "9" * 30)
    box.fault("fakepg", "drop_after", on="POST /" + "x" * 100)
    _pay(gate, "o2")
    with watched(browser, viewport={"width": 360, "height": 740}, color_scheme=scheme) as window:
        page = window.page()
        page.goto(box.control_url)
        _item(page, "waiting", "o2")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for selector in ("h1", ".quiet", "button.yes", ".state.good", "nav a"):
            assert _contrast(page, selector) >= 4.5, selector


def _contrast(page: Page, selector: str) -> float:
    """The contrast of an element's text with the ground it stands on (WCAG 2)."""
    ratio: float = page.evaluate("""selector => {
        const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => {
            const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * x + 0.7152 * y + 0.0722 * z;
        };
        const element = document.querySelector(selector);
        let ground = element;
        while (rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
        const a = light(rgb(getComputedStyle(element).color)), b = light(rgb(getComputedStyle(ground).backgroundColor));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }""", selector)
    return ratio


def test_a_sandbox_that_has_ended_is_told_and_how_to_start_it(browser: Browser) -> None:
    context = browser.new_context()
    with Sandbox(["fakepg"]) as box:
        page = context.new_page()
        page.goto(box.control_url)
        page.locator("#live.good").wait_for()
    page.locator("#problem", has_text="paygate sandbox").wait_for()
    assert page.locator("#live").inner_text() == "not connected"
    context.close()


def test_one_gateway_alone_is_shown_where_it_is_chosen(room: Page, box: Sandbox, gate: Gateway) -> None:
    _pay(gate)
    _item(room, "waiting", "o1")
    room.select_option("#filter", "steppay-managed")
    _until_empty(room, "waiting")
    room.select_option("#filter", "fakepg")
    _item(room, "waiting", "o1")
