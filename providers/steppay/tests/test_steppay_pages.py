"""The hosted page of the sandbox, as a payer's browser meets it: link, page, button, and the way back. Over sockets."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from paygate.assemble import connect
from paygate.ledger import MemoryLedger
from paygate.model import PaymentStatus, Redirect
from paygate.sandbox import Sandbox

NAME = "steppay-managed"


@pytest.mark.parametrize(("button", "status"), [("approve", "paid"), ("close", "pending")])
def test_a_payer_is_sent_to_the_sandboxes_own_page_and_back(button: str, status: str) -> None:
    with Sandbox([NAME]) as box, connect(NAME, box.settings(NAME), ledger=MemoryLedger(), base_url=box.url(NAME),
                                         clock=box.clock) as gate, httpx.Client(trust_env=False) as browser:
        command = box.emulator(NAME).story().pay
        assert command is not None
        action = gate.pay(command).action
        assert isinstance(action, Redirect)
        assert action.url.startswith(box.url(NAME))
        link = browser.get(action.url)
        assert link.status_code == 302
        page = f"{box.url(NAME)}{link.headers['location'].partition('?')[0]}"
        assert "no real money" in browser.get(page).text
        back = browser.post(f"{page}/{button}").headers["location"]
        assert back.startswith(command.return_url)
        paid = gate.confirm(command.order_id, dict(parse_qsl(urlsplit(back).query)))
        assert paid.status is PaymentStatus(status)
