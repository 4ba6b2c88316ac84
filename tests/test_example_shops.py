"""The example shops as a payer meets them: started by their one command, in a real browser, at each gateway.

Every outcome is played at the FastAPI shop. The Django shop runs the same receiver and the same script, so there the
outcomes are those that its own code decides.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from itertools import takewhile
from pathlib import Path
from subprocess import PIPE, Popen, run
from threading import Timer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from chromium import TIMEOUT_MS, Watched, launched, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Request, Route

pytestmark = [pytest.mark.browser, pytest.mark.checkout]

EXAMPLES = Path(__file__).parents[1] / "examples"
PROVIDERS = ("portone-naverpay", "steppay-managed", "steppay-unmanaged", "fakepg")
POP_UP = ("portone-naverpay", "steppay-unmanaged")
BOOK, TEA = "책 한 권", "차 정기구독"
UNPAID = ("open", "pending", "failed", "unknown", "forged")


class Shop:
    """A shop that runs, with its sandbox."""

    def __init__(self, provider: str, url: str, control: str) -> None:
        self.provider, self.url, self.control = provider, url, control
        self.paid_return = ""
        """The hints of a return that was once true, as a query."""

    def asked(self, path: str) -> Any:
        return httpx.get(f"{self.control}/gateways/{self.provider}{path}", timeout=30).json()

    @property
    def taken(self) -> int:
        """What the gateway has really taken, in won."""
        return sum(moved["amount"] for moved in self.asked("/journal")["journal"])

    def takes_every_webhook(self) -> bool:
        """Whether each webhook was taken; what was refused is sent again, as a PG does."""
        taken = True
        for hook in self.asked("/hooks")["hooks"]:
            states = [made["state"] for made in hook["deliveries"]]
            taken &= "delivered" in states
            if set(states) == {"failed"}:
                httpx.post(f"{self.control}/gateways/{self.provider}/hooks/{hook['n']}/redeliver", timeout=30,
                           json={}).raise_for_status()
        return taken

    def turn_the_clock(self) -> None:
        """To what the gateway has due next, as a person does in the control room; else by more than a month."""
        gateway, = httpx.get(f"{self.control}/overview", timeout=30).json()["gateways"]
        due = min((dated["at"] for dated in gateway["dated"] if dated["is_due"]), default=None)
        to = {"seconds": 32 * 86_400} if due is None else {"to": due}
        httpx.post(f"{self.control}/clock/advance", json=to, timeout=30).raise_for_status()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not holds():
        assert time.monotonic() < deadline, "did not come to hold"
        time.sleep(0.05)


@contextmanager
def started(shop: str, provider: str) -> Iterator[Shop]:
    """`python examples/<shop>/run.py`, as the README says, on free ports."""
    command = [sys.executable, str(EXAMPLES / shop / "run.py"), "--port", "0", "--control-port", "0"]
    with Popen(command, stdout=PIPE, text=True, env={**os.environ, "PAYGATE_PROVIDER": provider}) as process:
        too_late = Timer(120, process.kill)
        too_late.start()
        try:
            assert process.stdout is not None
            said = "".join(takewhile(lambda line: not line.startswith("Stop"), process.stdout))
            where = dict(re.findall(r"^(shop|control room) +(http\S+)$", said, re.MULTILINE))
            assert len(where) == 2, f"it ended by itself, or did not start: {said}"
            too_late.cancel()
            yield Shop(provider, where["shop"], where["control room"])
            process.terminate()
            assert process.wait(60) == 0
        finally:
            too_late.cancel()
            process.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Shop]:
    with started(*request.param) as running:
        yield running


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    with watched(browser) as window:
        yield _front(shop, window)


def _front(shop: Shop, window: Watched) -> Page:
    page = window.page()
    page.goto(shop.url)
    return page


def _at(*shops: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shop", shops, indirect=True, ids=["-".join(s).removeprefix("shop-") for s in shops])


FASTAPI = [("shop-fastapi", provider) for provider in PROVIDERS]
DJANGO = [("shop-django", provider) for provider in PROVIDERS]
fastapi, both = _at(*FASTAPI), _at(*FASTAPI, *DJANGO)


def _button(page: Page, product: str = BOOK) -> Locator:
    return page.locator("form", has_text=product).get_by_role("button")


def _window(page: Page, shop: Shop, press: Callable[[], None]) -> Page:
    """Where the payer decides, once `press()` was done."""
    if shop.provider in POP_UP:
        with page.expect_popup() as opened:
            press()
        window = opened.value
    else:
        press()
        window = page
    window.get_by_role("button", name="Approve").or_(window.get_by_text("No payment window")).wait_for()
    return window


def _decide(window: Page, name: str = "Approve") -> None:
    window.get_by_role("button", name=name).click()


def _status(page: Page) -> str:
    """What the shop says became of the order."""
    page.wait_for_url("**/orders/*")
    return str(page.locator("[data-status]").get_attribute("data-status"))


@both
def test_a_payer_buys_and_the_gateways_webhooks_are_taken(shop: Shop, page: Page) -> None:
    before = shop.taken
    _decide(_window(page, shop, _button(page).click))

    assert _status(page) == "paid"
    assert shop.taken - before == 14_000
    assert shop.asked("/hooks")["hooks"]
    _until(shop.takes_every_webhook)


@both
def test_a_declined_payer_is_told_why_and_may_try_again(shop: Shop, page: Page) -> None:
    before, first = shop.taken, _order(page)
    _decide(_window(page, shop, _button(page).click), "Decline")

    assert _status(page) == "failed"
    assert page.locator(".note").inner_text()
    assert shop.taken == before
    page.get_by_role("link", name="Back to the shop").click()
    page.wait_for_url(f"{shop.url}/")
    assert _order(page) != first


@both
def test_a_payer_who_closes_the_window_has_paid_nothing_and_may_go_on(shop: Shop, page: Page) -> None:
    before = shop.taken
    _decide(_window(page, shop, _button(page).click), "Close without paying")

    assert _status(page) in ("pending", "failed")
    assert shop.taken == before
    page.get_by_role("link", name="Back to the shop").click()
    page.wait_for_url(f"{shop.url}/")
    _decide(_window(page, shop, _button(page).click))
    assert _status(page) == "paid"
    assert shop.taken - before == 14_000


@fastapi
def test_an_amount_changed_in_the_browser_never_counts_as_paid(shop: Shop, page: Page) -> None:
    before = shop.taken

    def tamper(route: Route) -> None:
        """The page's form says a price; and where the script is told the amount, it is told another."""
        answer = route.fetch(post_data=f"{route.request.post_data}&amount=100&money=100&price=100")
        route.fulfill(response=answer, body=answer.text().replace("14000", "100"))

    page.route("**/pay/start", tamper)
    window = _window(page, shop, _button(page).click)
    if shop.provider in POP_UP:
        if window.get_by_role("button", name="Approve").is_visible():
            _decide(window)
        else:  # The gateway was told the amount before, and refuses another.
            window.wait_for_load_state()
            window.close()
        assert _status(page) in UNPAID
    else:
        _decide(window)
        assert _status(page) == "paid"
        assert shop.taken - before == 14_000


@fastapi
def test_the_return_of_another_payment_pays_nothing(shop: Shop, page: Page, browser: Browser) -> None:
    hints = shop.paid_return or _paid_return(shop, browser)
    before = shop.taken
    begun: list[Any] = []

    def hear(route: Route) -> None:
        answer = route.fetch()
        begun.append(answer.json())
        route.fulfill(response=answer)

    page.route("**/pay/start", hear)
    _window(page, shop, _button(page).click)
    complete = begun[0]["complete"]

    if hints.startswith("?"):
        page.goto(complete + hints)
    else:
        page.goto(page.evaluate("""async ([url, body]) => (await fetch(url, {
            method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } })).url""",
                                [complete, hints]))

    assert _status(page) in UNPAID
    assert shop.taken == before


def _paid_return(shop: Shop, browser: Browser) -> str:
    """What the browser brings home from a payment that was made."""
    came: list[str] = []

    def heard(request: Request) -> None:
        if "/pay/complete/" in request.url:
            came.append(request.post_data or f"?{request.url.partition('?')[2]}")

    with watched(browser) as window:
        page = _front(shop, window)
        page.on("request", heard)
        _decide(_window(page, shop, _button(page).click))
        assert _status(page) == "paid"
    shop.paid_return = came[0]
    return came[0]


@fastapi
def test_the_back_button_pays_nothing_twice(shop: Shop, page: Page) -> None:
    before = shop.taken
    if shop.provider not in POP_UP:
        _window(page, shop, _button(page).click)
        page.go_back()
    _decide(_window(page, shop, _button(page).click))
    assert _status(page) == "paid"
    paid = page.url

    while page.url != f"{shop.url}/":
        page.go_back()
    _button(page).click()
    page.wait_for_url(paid)

    assert _status(page) == "paid"
    assert shop.taken - before == 14_000


@fastapi
def test_a_double_click_opens_one_window_and_pays_once(shop: Shop, page: Page) -> None:
    before = shop.taken
    starts: list[str] = []
    page.on("request", lambda request: starts.append(request.url) if request.url.endswith("/pay/start") else None)
    _decide(_window(page, shop, _button(page).dblclick))

    assert _status(page) == "paid"
    assert len(starts) == 1
    assert shop.taken - before == 14_000


@_at(("shop-fastapi", "steppay-unmanaged"), ("shop-django", "steppay-unmanaged"))
def test_a_payer_who_pays_in_two_tabs_is_told_that_one_payment_comes_back(shop: Shop, page: Page) -> None:
    """At this gateway nothing can keep two windows of one order from being paid in."""
    before = shop.taken
    with page.context.new_page() as other:
        other.goto(shop.url)
        assert _order(other) == _order(page)
        windows = [_window(tab, shop, _button(tab).click) for tab in (page, other)]
        for tab, window in zip((page, other), windows, strict=True):
            _decide(window)
            assert _status(tab) == "paid"
    assert shop.taken - before == 28_000

    def told() -> bool:
        page.reload()
        return page.locator(".note", has_text="Paid once more").count() > 0
    _until(told)
    assert _status(page) == "paid"


@_at(*FASTAPI, ("shop-django", "steppay-managed"), ("shop-django", "fakepg"))
def test_a_subscription_begins_and_is_renewed_when_the_month_is_over(shop: Shop, page: Page) -> None:
    before = shop.taken
    _decide(_window(page, shop, _button(page, TEA).click))
    assert _status(page) == "subscribed"
    assert shop.taken - before == 9_900

    shop.turn_the_clock()

    def renewed() -> bool:
        page.reload()
        return page.locator("li", has_text="9,900 KRW paid").count() > 0
    _until(renewed)
    assert shop.taken - before == 19_800


@_at(FASTAPI[0], DJANGO[0])
def test_a_part_given_back_in_the_gateways_console_is_seen_in_the_shop(shop: Shop, page: Page) -> None:
    _decide(_window(page, shop, _button(page).click))
    assert _status(page) == "paid"

    httpx.post(f"{shop.control}/gateways/{shop.provider}/controls/cancel_in_console", timeout=30,
               json={"order_id": page.url.rpartition("/")[2], "amount": 4_000}).raise_for_status()

    def seen() -> bool:
        page.reload()
        return page.locator("[data-status=partly_cancelled]").count() > 0
    _until(seen)
    assert page.locator(".note").inner_text() == "10,000 KRW left"


# What needs no browser

def test_who_only_looks_leaves_no_order_behind(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    orders = _example("shop-fastapi", "orders").Orders(str(database))
    offered = orders.cart("payer-1", "book")
    assert orders.cart("payer-1", "book") == offered
    assert orders.cart("payer-2", "book").id != offered.id
    assert orders.find(offered.id, "payer-1") is None

    assert orders.begin(offered.id, "payer-2", ["book"]) is None
    assert orders.begin(offered.id, "payer-1", ["tea", "book"]) == offered
    assert orders.cart("payer-1", "book") == offered
    orders.becomes(offered.id, "paid")
    assert orders.cart("payer-1", "book").id != offered.id
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        plan = db.execute("EXPLAIN QUERY PLAN SELECT * FROM orders WHERE payer = 'x' AND product = 'y'").fetchall()
    assert "USING INDEX" in str(plan)


def test_what_keeps_a_shop_from_starting_is_said_in_one_line() -> None:
    assert _ended("shop-django", "nosuch", "--port", "0").startswith("run.py: no provider nosuch is installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = _ended("shop-fastapi", "fakepg", "--port", port)
    assert re.match(rf"run.py: the shop cannot listen on port {port}: .*--port", said)


def _ended(shop: str, provider: str, *options: str) -> str:
    """What a shop says that does not start: one line."""
    done = run([sys.executable, str(EXAMPLES / shop / "run.py"), "--control-port", "0", *options], text=True,
               env={**os.environ, "PAYGATE_PROVIDER": provider}, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr.strip().count("\n")) == (1, "", 0), done.stderr
    return done.stderr


def _example(shop: str, module: str) -> Any:
    spec = spec_from_file_location(f"example_{module}", EXAMPLES / shop / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _order(page: Page) -> str:
    """The order that the page's book form offers."""
    return str(page.locator("form", has_text=BOOK).locator("[name=order]").get_attribute("value"))
