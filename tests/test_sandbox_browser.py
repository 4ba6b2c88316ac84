"""Payers in a real browser: a merchant's page with a strict policy, the stand-ins for the PGs' scripts, the pages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from chromium import MerchantPage, Watched, launched, merchant_page, watched

from paygate.assemble import connect
from paygate.commands import Customer, Pay, Register
from paygate.errors import Declined
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.model import PaymentStatus
from paygate.money import Money
from paygate.sandbox import Sandbox
from paygate.testing.fakepg import FAKEPG

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

POP_UP = ["portone-naverpay", "steppay-unmanaged"]
LEAVING = ["portone-naverpay", "steppay-managed", "fakepg"]
PAYER = Customer(name="Kim", phone="010-1234-5678", email="kim@example.com")
WON = Money(14_000, "KRW")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture
def window(browser: Browser) -> Iterator[Watched]:
    with watched(browser) as made:
        yield made


class Bought:
    """A merchant's page on which an order is about to be paid."""

    def __init__(self, name: str, box: Sandbox, gate: Gateway, site: MerchantPage) -> None:
        self.name, self.box, self.gate, self.site = name, box, gate, site

    @property
    def taken(self) -> int:
        with self.box.lock:
            return sum(m.money.amount for m in self.box.emulator(self.name).journal.entries)

    @property
    def waiting(self) -> int:
        """How many payers have not decided, as the PG sees it."""
        with self.box.lock:
            return len(self.box.emulator(self.name).overview().waiting)

    def confirm(self, came: dict[str, Any]) -> PaymentStatus:
        given = {name: str(value) for name, value in came.items() if value is not None}
        return self.gate.confirm("o1", given).status


@pytest.fixture
def bought(request: pytest.FixtureRequest) -> Iterator[Bought]:
    """An order of 14,000 won at the provider that the test names; `leave`: its window leaves the page."""
    name, leave = request.param
    spec: Any = FAKEPG if name == "fakepg" else name
    with Sandbox([name]) as box, merchant_page() as site:
        settings = {**box.settings(name), **({"popup": False} if leave and name.startswith("portone") else {})}
        with connect(spec, settings, ledger=MemoryLedger(), base_url=box.url(name), clock=box.clock) as gate:
            command = Pay(order_id="o1", money=WON, title="<b>book</b>", return_url=f"{site.url}/back?mine=1",
                          customer=PAYER)
            site.action = gate.pay(command).action.to_dict()
            site.scripts = box.url(name)
            yield Bought(name, box, gate, site)


def _popped_up(page: Page, site: MerchantPage) -> Page:
    page.goto(site.url)
    with page.expect_popup() as opened:
        page.click("#pay")
    opened.value.get_by_role("button", name="Approve").wait_for()
    return opened.value


def _came(page: Page) -> dict[str, Any]:
    """What the script gave to the merchant's page."""
    page.locator("#came:not(:empty)").wait_for()
    came: dict[str, Any] = json.loads(page.locator("#came").inner_text())
    return came


pop_up = pytest.mark.parametrize("bought", [(name, False) for name in POP_UP], indirect=True, ids=POP_UP)
leaving = pytest.mark.parametrize("bought", [(name, True) for name in LEAVING], indirect=True, ids=LEAVING)


# Pop-ups

@pop_up
def test_a_payer_approves_in_a_pop_up_and_the_shop_hears_of_it(bought: Bought, window: Watched) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    assert "Sandbox: no real money" in pop_up.locator("body").inner_text()
    assert "<b>book</b>" in pop_up.locator("dl").inner_text()
    assert bought.taken == 0

    with pop_up.expect_event("close"):
        pop_up.get_by_role("button", name="Approve").click()

    assert bought.confirm(_came(page)) is PaymentStatus.PAID
    assert bought.taken == 14_000


@pop_up
def test_a_payer_is_declined_for_the_reason_chosen(bought: Bought, window: Watched) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    reason = pop_up.locator("option").nth(1).inner_text()
    pop_up.get_by_label("Reason of the decline").select_option(reason)
    pop_up.get_by_role("button", name="Decline").click()

    with pytest.raises(Declined) as no:
        bought.confirm(_came(page))
    assert no.value.message == reason
    assert bought.taken == 0


@pop_up
@pytest.mark.parametrize("how", ["the button", "the window's own cross"])
def test_a_payer_closes_the_pop_up_and_the_shop_hears_that_too(bought: Bought, window: Watched, how: str) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    if how == "the button":
        pop_up.get_by_role("button", name="Close without paying").click()
    else:
        pop_up.close(run_before_unload=True)

    came = _came(page)
    assert "error" not in str(came.get("event"))
    assert bought.taken == 0
    if bought.name == "portone-naverpay":
        assert bought.confirm(came) is PaymentStatus.PENDING
        return
    # The window tells the PG and the shop at once, so the shop may be first to ask.
    for _ in range(300):
        if bought.waiting == 0:
            break
        page.wait_for_timeout(100)
    with pytest.raises(Declined):
        bought.confirm(came)


@pop_up
def test_a_late_approval_reaches_nobodys_browser_and_is_found_afterwards(bought: Bought, window: Watched) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    pop_up.get_by_label("Seconds until the approval arrives").fill("60")
    with pop_up.expect_event("close"):
        pop_up.get_by_role("button", name="Pay late").click()
    came = _came(page)
    assert bought.confirm(came) is PaymentStatus.PENDING
    assert bought.taken == 0

    bought.box.advance(60)

    assert bought.taken == 14_000
    assert bought.confirm(came) is PaymentStatus.PAID


@pop_up
def test_a_blocked_pop_up_is_told_to_the_shop(bought: Bought, window: Watched) -> None:
    page = window.page()
    page.add_init_script("window.open = () => null")
    page.goto(bought.site.url)
    page.click("#pay")

    assert "POPUP_BLOCKED" in json.dumps(_came(page))


@pop_up
def test_a_window_decided_in_the_control_room_brings_the_payer_back_too(bought: Bought, window: Watched) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    bought.box.do(bought.name, "payer", order_id="o1", action="approve")

    with pop_up.expect_event("close"):
        pop_up.evaluate("setTimeout(() => location.reload())")

    assert bought.confirm(_came(page)) is PaymentStatus.PAID
    assert bought.taken == 14_000


@pop_up
def test_a_window_that_does_not_open_says_why_and_leads_back(bought: Bought, window: Watched) -> None:
    page = window.page()
    params = bought.site.action["params"]
    params.update({"amount": "x", "product": {}})
    page.goto(bought.site.url)
    with page.expect_popup() as opened:
        page.click("#pay")
    opened.value.locator("h1", has_text="No payment window").wait_for()
    opened.value.wait_for_load_state()  # its script has told the shop's page by then
    opened.value.close()

    came = _came(page)
    assert came.get("error_msg") or came.get("errorMessage")
    assert bought.taken == 0


@pytest.mark.parametrize("bought", [("portone-naverpay", False)], indirect=True)
def test_a_billing_key_is_registered_in_a_pop_up_and_nothing_is_taken(bought: Bought, window: Watched) -> None:
    command = Register(order_id="r1", money=WON, title="plan", return_url=f"{bought.site.url}/back", customer=PAYER)
    bought.site.action = bought.gate.register(command).action.to_dict()
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    assert "Nothing is charged now" in pop_up.locator("main").inner_text()
    pop_up.get_by_role("button", name="Approve").click()

    came = {name: str(value) for name, value in _came(page).items() if value is not None}
    key = bought.gate.confirm_key("r1", came)
    assert key.value.reveal() == came["customer_uid"]
    assert bought.taken == 0


# Leaving the page

@leaving
@pytest.mark.parametrize(("button", "status"), [("Approve", PaymentStatus.PAID), ("Decline", None),
                                                ("Close without paying", PaymentStatus.PENDING)])
def test_a_payer_leaves_the_shop_decides_and_is_brought_back(
        bought: Bought, window: Watched, button: str, status: PaymentStatus | None) -> None:
    page = window.page()
    page.goto(bought.site.url)
    page.click("#pay")
    page.get_by_role("button", name=button).click()
    page.wait_for_url(f"{bought.site.url}/back?mine=1&*")

    query = dict(parse_qsl(urlsplit(page.url).query))
    if status is None:
        with pytest.raises(Declined):
            bought.confirm(query)
    else:
        assert bought.confirm(query) is status
    assert bought.taken == (14_000 if status is PaymentStatus.PAID else 0)


@pytest.mark.parametrize("bought", [("portone-naverpay", True)], indirect=True)
def test_a_payer_who_went_back_may_go_forward_and_pay(bought: Bought, window: Watched) -> None:
    page = window.page()
    page.goto(bought.site.url)
    page.click("#pay")
    page.get_by_role("button", name="Approve").wait_for()
    page.go_back()
    page.locator("h1", has_text="shop").wait_for()
    page.go_forward()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{bought.site.url}/back?*")

    assert bought.taken == 14_000


@pop_up
def test_a_second_look_at_the_payers_page_decides_nothing(bought: Bought, window: Watched) -> None:
    page = window.page()
    pop_up = _popped_up(page, bought.site)
    look = window.page()
    look.goto(pop_up.url)
    look.get_by_role("button", name="Approve").wait_for()
    look.close(run_before_unload=True)
    pop_up.get_by_role("button", name="Approve").click()

    assert bought.confirm(_came(page)) is PaymentStatus.PAID


@leaving
def test_the_back_button_leads_from_the_window_to_the_shop_at_once(bought: Bought, window: Watched) -> None:
    page = window.page()
    page.goto(bought.site.url)
    page.click("#pay")
    page.get_by_role("button", name="Approve").wait_for()

    page.go_back()

    page.locator("h1", has_text="shop").wait_for()
    assert bought.taken == 0


@pytest.mark.parametrize("bought", [("portone-naverpay", True)], indirect=True)
def test_on_a_phone_the_window_fits_the_screen_and_brings_the_payer_back(bought: Bought, browser: Browser) -> None:
    with watched(browser, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True,
                 user_agent="Mozilla/5.0 (Linux; Android 14) Mobile") as window:
        page = window.page()
        page.goto(bought.site.url)
        page.tap("#pay")
        page.get_by_role("button", name="Approve").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name="Approve").tap()
        page.wait_for_url(f"{bought.site.url}/back?*")
    assert bought.taken == 14_000


@pytest.mark.parametrize("bought", [(name, name != "steppay-unmanaged") for name in
                                    ("portone-naverpay", "steppay-managed", "steppay-unmanaged", "fakepg")],
                         indirect=True)
def test_the_payers_page_can_be_used_with_the_keyboard_alone(bought: Bought, window: Watched) -> None:
    page = window.page()
    page.goto(bought.site.url)
    if bought.name == "steppay-unmanaged":
        with page.expect_popup() as opened:
            page.click("#pay")
        page = opened.value
    else:
        page.click("#pay")
    page.get_by_role("button", name="Approve").wait_for()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.startsWith('Approve')"):
            break
    with page.expect_event("framenavigated") if bought.name != "steppay-unmanaged" else page.expect_event("close"):
        page.keyboard.press("Enter")

    assert bought.taken == 14_000
