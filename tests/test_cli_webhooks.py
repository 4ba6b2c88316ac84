"""`paygate webhooks`: what waits for its handlers, telling it again, posting by hand; exit codes for cron."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import Shop, won

from paygate import Event, Pay
from paygate.cli.group import group
from paygate.cli.webhooks import _inbox
from paygate.ledger.sqlite import SqliteLedger
from paygate.web import Inbox

HOOK = json.dumps({"order_id": "o1", "payment_id": "p1"}).encode()
APP = """
import os
from paygate import MemoryLedger, connect, connect_async
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing import EmulatorTransport
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.web import AsyncInbox, Inbox

pg = FakePG()
how = {"ledger": SqliteLedger(os.environ["SHOP_LEDGER"]), "http": EmulatorTransport(pg)}
inbox = Inbox(connect(FAKEPG, pg.settings(), **how))
other = AsyncInbox(connect_async(FAKEPG, pg.settings(), **how))
nothing = 5

@other.on("payment_paid")
async def later(event):
    print("later:", event.id)

@inbox.on("payment_paid")
def paid(event):
    print("now:", event.id, event.payment.money)
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["webhooks", *arguments])


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of an event whose handler has failed once, in the ledger of the environment."""
    path = tmp_path / "ledger.db"
    settings = {"imp_key": "k", "imp_secret": "s", "merchant_code": "imp00000000", "channel_key": "c"}
    for name, value in {"PAYGATE_PROVIDER": "portone-naverpay", "PAYGATE_NAME": "fakepg", "PAYGATE_LEDGER": str(path),
                        "PAYGATE_SETTINGS": json.dumps(settings), "SHOP_LEDGER": str(path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("shop_payments.py").write_text(APP, encoding="utf-8")
    with Shop(ledger=SqliteLedger(path)) as shop:
        inbox = Inbox(shop.gate)

        @inbox.on("payment_paid")
        def fails(_: Event) -> None:
            raise ValueError

        shop.pay(Pay(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back"))
        shop.pg.payer("o1")
        with pytest.raises(ValueError):
            inbox.receive({}, HOOK)
    yield "fakepg:p1:paid:0"
    sys.modules.pop("shop_payments", None)


def test_nothing_that_waits_is_said_with_exit_0(waiting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteLedger(tmp_path / "other.db").close()
    done = run("list", "--ledger", str(tmp_path / "other.db"))
    assert (done.exit_code, done.output) == (0, "every event was told\n")
    monkeypatch.delenv("PAYGATE_PROVIDER")
    assert run("list").exit_code == 2


def test_what_waits_is_listed_with_exit_4(waiting: str) -> None:
    table = run("list")
    assert table.exit_code == 4
    assert waiting in table.output
    said = run("list", "--json")
    event, = json.loads(said.output)["events"]
    assert (event["event"], event["kind"], event["order_id"], event["failures"]) == (waiting, "payment_paid", "o1", 1)
    assert event["attention"] is None


def test_an_event_is_told_again_to_the_shops_own_handlers(waiting: str) -> None:
    done = run("replay", waiting, "--app", "shop_payments:inbox")
    assert (done.exit_code, done.output) == (0, f"now: {waiting} 14,000 KRW\npayment_paid of order o1 was told again\n")


def test_a_shop_of_an_event_loop_is_told_again_too(waiting: str) -> None:
    done = run("replay", waiting, "--app", "shop_payments:other")
    assert done.output.startswith(f"later: {waiting}\n")


@pytest.mark.parametrize(("app", "words"), [
    ("shop_payments", "MODULE:NAME"), ("shop_payments:", "MODULE:NAME"), ("nowhere_at_all:inbox", "no module"),
    ("shop_payments:nothing", "no Inbox"), ("shop_payments:missing", "no Inbox")])
def test_what_is_no_inbox_is_said(waiting: str, app: str, words: str) -> None:
    done = run("replay", waiting, "--app", app)
    assert done.exit_code == 2
    assert words in done.output


def test_an_event_that_there_is_none_is_said(waiting: str) -> None:
    done = run("replay", "fakepg:p9:paid:0", "--app", "shop_payments:inbox")
    assert done.exit_code == 2
    assert "no event" in done.output


def test_an_inbox_may_stand_inside_something(waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("shop_payments.py").write_text(APP + "\nclass app:\n    inbox = inbox\n", encoding="utf-8")
    assert isinstance(_inbox("shop_payments:app.inbox"), Inbox)


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[Any]]]:
    """A server that answers 200, or what its path says, and the requests it was sent."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, dict(self.headers.items()), body))
            self.send_response(int(self.path.strip("/") or 200))
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(b"said \x1b[31m")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_posted_byte_by_byte(endpoint: tuple[str, list[Any]], tmp_path: Path) -> None:
    url, seen = endpoint
    file = tmp_path / "hook.json"
    file.write_bytes(b'{"a":  1}\n')
    done = run("send", url, str(file), "--header", "X-Signature: abc")
    assert done.exit_code == 0
    assert done.output.startswith("200 said ")
    assert "\x1b" not in done.output
    (_, headers, body), = seen
    lower = {k.lower(): v for k, v in headers.items()}
    assert (body, lower["content-type"], lower["x-signature"]) == (b'{"a":  1}\n', "application/json", "abc")


@pytest.mark.parametrize("status", ["503", "400", "302"])
def test_a_refusal_is_exit_1_and_no_redirect_is_followed(endpoint: tuple[str, list[Any]], tmp_path: Path,
                                                         status: str) -> None:
    url, seen = endpoint
    (tmp_path / "hook").write_bytes(b"x")
    done = run("send", f"{url}/{status}", str(tmp_path / "hook"), "--type", "text/plain")
    assert (done.exit_code, done.output[:3], len(seen)) == (1, status, 1)


@pytest.mark.parametrize("url", ["http://shop.example/hook", "ftp://shop.example", "file:///etc/passwd", "nothing"])
def test_only_https_and_this_machine_are_posted_to(tmp_path: Path, url: str) -> None:
    (tmp_path / "hook").write_bytes(b"x")
    assert run("send", url, str(tmp_path / "hook")).exit_code == 2


def test_nobody_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "hook").write_bytes(b"x")
    done = run("send", "http://127.0.0.1:1/hook", str(tmp_path / "hook"))
    assert (done.exit_code, "nothing answers" in done.output) == (1, True)
