"""A real browser for tests: the machine's own Chromium, driven by Playwright, and a merchant's page of its own.

Where either is missing the tests are skipped, saying so; under CI=true that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

TIMEOUT_MS = 30_000


def launched() -> Iterator[Browser]:
    """Chromium, for a fixture to yield from."""
    path = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("Playwright is not installed")
        return
    if path is None:
        _without("there is no Chromium on this machine")
        return
    # As root, which builds often are, Chromium refuses to start with its own sandbox.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def _without(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}, and CI=true says that it must be")
    pytest.skip(f"{why}: NOT RUN")


class Watched:
    """A browser's window whose complaints, dialogs and requests are written down."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._context = context
        context.set_default_timeout(TIMEOUT_MS)
        context.on("request", lambda request: self.hosts.add(request.url.split("/")[2].partition(":")[0]))
        context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: (self.complaints.append(f"a dialog: {dialog.message}"), dialog.dismiss()))

    def page(self) -> Page:
        return self._context.new_page()


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[Watched]:
    """A fresh window; in the end it has complained of nothing and asked this machine only."""
    context = browser.new_context(**options)
    try:
        made = Watched(context)
        yield made
        assert made.complaints == []
        assert made.hosts <= {"127.0.0.1"}
    finally:
        context.close()


# What a merchant's page does with an action, as the documentation says.
_SCRIPT = """
"use strict";
const shown = (value) => { document.querySelector("#came").textContent = JSON.stringify(value); };
const call = (path, ...given) => {
  const names = path.split("."), last = names.pop();
  return names.reduce((owner, name) => owner[name], window)[last](...given);
};
async function run() {
  const action = await (await fetch("/action")).json();
  if (action.type === "redirect") return location.assign(action.url);
  const script = document.createElement("script");
  script.src = action.script;
  script.onload = () => {
    if (action.setup) call(action.setup.function, action.setup.argument);
    if (action.returns === "callback") return call(action.function, action.params, shown);
    const chain = call(action.function, action.params);
    for (const event of ["success", "error", "cancel"]) chain[event]((given) => shown({ ...given, event }));
  };
  document.head.append(script);
}
document.querySelector("#pay").addEventListener("click", run);
"""
_PAGE = """<!doctype html><meta charset="utf-8"><title>shop</title><link rel="icon" href="data:,">
<h1>{title}</h1><button id="pay">Pay</button><pre id="came"></pre><script src="/shop.js"></script>"""


class MerchantPage:
    """A merchant's site: /, whose button does `action`; /back, where payers return; /hooks, which takes webhooks.

    Its policy lets the browser load scripts from `scripts` and nothing else from elsewhere.
    """

    def __init__(self) -> None:
        self.action: dict[str, Any] = {}
        self.scripts = ""
        self.hooks: list[bytes] = []
        self.url = ""

    def answer(self, path: str) -> tuple[str, str]:
        """(content type, text)."""
        match path.partition("?")[0]:
            case "/shop.js":
                return "text/javascript", _SCRIPT
            case "/action":
                return "application/json", json.dumps(self.action)
            case "/back":
                return "text/html; charset=utf-8", _PAGE.format(title="back")
        return "text/html; charset=utf-8", _PAGE.format(title="shop")


@contextmanager
def merchant_page() -> Iterator[MerchantPage]:
    """A merchant's site on a free port of this machine."""
    shop = MerchantPage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = shop.answer(self.path)
            policy = f"default-src 'none'; script-src 'self' {shop.scripts}; connect-src 'self'; img-src data:"
            self._say(text.encode(), {"content-type": kind, "content-security-policy": policy})

        def do_POST(self) -> None:
            shop.hooks.append(self.rfile.read(int(self.headers["content-length"])))
            self._say(b"", {})

        def _say(self, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
