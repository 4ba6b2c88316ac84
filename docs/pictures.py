"""The pictures of the sandbox page and of the example shop. `python docs/pictures.py` takes them anew; look at each
before it is committed. `python docs/pictures.py shop` takes the shop's only.

Needs Chromium, Playwright, Pillow and the ports 8000 and 8080 to 8083.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from paygate import Cancel, Customer, DatedCharge, Interval, MemoryLedger, Money, Pay, Register, Schedule, Subscribe
from paygate import connect as connect_to
from paygate.sandbox import Sandbox

FOLDER = Path(__file__).parent / "pictures"
SHOP = Path(__file__).parents[1] / "examples" / "shop-fastapi" / "run.py"
NAVER, MANAGED = "portone-naverpay", "steppay-managed"
PAYER = Customer(id="payer-77", name="김민지", phone="010-1234-5678", email="minji@example.com")
BACK = "http://127.0.0.1:8000/back"
LIMIT = 150_000


def scene(box: Sandbox) -> None:
    """A shop's first days: a book, part of it given back, a plan with dated charges, a subscription, two who wait."""
    with _gate(box, NAVER) as gate:
        book = gate.pay(Pay(order_id="book-1001", money=Money(14_000, "KRW"), title="책 한 권", return_url=BACK,
                            customer=PAYER))
        gate.confirm("book-1001", box.browse(NAVER, book.action.to_dict()))
        gate.cancel(Cancel(order_id="book-1001", cancel_id="back-1", money=Money(4_000, "KRW"), reason="부분취소"))
        plan = gate.register(Register(order_id="plan-77", money=Money(9_900, "KRW"), title="Slim 요금제",
                                      return_url=BACK, customer=PAYER))
        key = gate.confirm_key("plan-77", box.browse(NAVER, plan.action.to_dict()))
        gate.schedule(Schedule(billing_key=key, customer=PAYER, charges=[
            DatedCharge(order_id=f"plan-77-{n}", due_at=box.clock.now() + timedelta(days=31 * n + 1),
                        money=Money(9_900, "KRW"), title="Slim 요금제") for n in range(3)]))
        box.do(NAVER, "set_webhook_url", url="http://127.0.0.1:8000/webhooks/naver")
        box.advance(86_400)
        more = gate.pay(Pay(order_id="book-1002", money=Money(32_000, "KRW"), title="책 두 권", return_url=BACK,
                            customer=PAYER))
        box.do(NAVER, "open_window", params=more.action.to_dict()["params"])
    with _gate(box, MANAGED) as gate:
        tea = gate.subscribe(Subscribe(order_id="tea-5", money=Money(9_900, "KRW"), every=Interval("month"),
                                       title="tea", return_url=BACK, customer=PAYER))
        box.browse(MANAGED, tea.action.to_dict())
        gate.pay(Pay(order_id="tea-6", money=Money(7_000, "KRW"), title="tea", return_url=BACK, customer=PAYER))
    box.fault(NAVER, "drop_after", on="^POST /subscribe/payments/again$")
    box.wait_for_hooks()


def _gate(box: Sandbox, name: str) -> Any:
    return connect_to(name, box.settings(name), ledger=MemoryLedger(), base_url=box.url(name), clock=box.clock)


def page(browser: Browser, url: str, width: int, height: int, *, dark: bool = False) -> Page:
    opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    opened.goto(url)
    opened.wait_for_load_state("networkidle" if "__page__" in url else "load")
    return opened


def room(browser: Browser, box: Sandbox, width: int, height: int, *, dark: bool = False) -> Page:
    opened = page(browser, box.control_url, width, height, dark=dark)
    opened.locator('[data-list="waiting"] > *').first.wait_for()
    opened.wait_for_timeout(1500)  # the clock ticks once, so that nothing is half shown
    return opened


def save(name: str, taken: bytes) -> None:
    """Write a picture in few colours."""
    file = FOLDER / f"{name}.png"
    Image.open(BytesIO(taken)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)
    assert file.stat().st_size < LIMIT, f"{file.name} has {file.stat().st_size} bytes"
    print(f"{file.name}: {file.stat().st_size // 1000} kB")


def section(opened: Page, *names: str) -> bytes:
    """The sections of those names, one below the other."""
    boxes = [opened.locator(f"#{name}").bounding_box() for name in names]
    assert boxes[0] is not None
    assert boxes[-1] is not None
    top, bottom = boxes[0]["y"] - 8, boxes[-1]["y"] + boxes[-1]["height"] + 8
    clip = {"x": boxes[0]["x"] - 8, "y": top, "width": boxes[0]["width"] + 16, "height": bottom - top}
    return opened.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]


def shop(browser: Browser) -> None:
    """The example shop: what there is, its payment window, and what became of the orders."""
    chosen = {**os.environ, "PAYGATE_PROVIDER": NAVER}
    with Popen([sys.executable, str(SHOP)], stdout=PIPE, text=True, env=chosen) as run:  # noqa: S603
        try:
            assert run.stdout is not None
            said = "".join(takewhile(lambda line: not line.startswith("Stop"), run.stdout))
            url = re.findall(r"^shop +(\S+)$", said, re.MULTILINE)[0]
            window = browser.new_context(viewport={"width": 560, "height": 470})
            opened = window.new_page()
            opened.goto(url)
            save("shop", opened.screenshot())
            with opened.expect_popup() as popped:
                opened.locator("form", has_text="책 한 권").get_by_role("button").click()
            opened.locator("[data-paygate-state=waiting]").wait_for()
            save("shop-waiting", opened.screenshot())
            popped.value.get_by_role("button", name="Approve").click()
            opened.locator("[data-status=paid]").wait_for()
            save("shop-paid", opened.screenshot(clip={"x": 0, "y": 0, "width": 560, "height": 280}))
            window.close()
        finally:
            run.terminate()


def room_and_payer(browser: Browser) -> None:
    """The control room and a payer's window."""
    ports = {NAVER: 8081, MANAGED: 8082, "fakepg": 8083}
    start = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
    with Sandbox(list(ports), ports=ports, control_port=8080, start=start) as box:
        scene(box)
        desk = room(browser, box, 1000, 1020)
        save("control-room", desk.screenshot())
        save("timeline", section(desk, "timeline"))
        save("journal", section(desk, "journal", "faults"))
        phone = room(browser, box, 390, 800, dark=True)
        phone.locator("#waiting").evaluate("section => scrollTo({ top: section.offsetTop - 80, behavior: 'instant' })")
        save("phone", phone.screenshot())
        save("payer", page(browser, f"{box.url(NAVER)}/__page__/windows/window-3", 440, 760).screenshot())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if "shop" not in sys.argv[1:]:
            room_and_payer(browser)
        shop(browser)
        browser.close()


if __name__ == "__main__":
    main()
