"""The shop and a sandbox of its payment gateway, in one command: `python examples/shop-fastapi/run.py`. No real money.

PAYGATE_PROVIDER says which gateway: portone-naverpay (where it is not set), steppay-managed, steppay-unmanaged, fakepg.
Everything is forgotten when it ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import uvicorn
from shop import shop

from paygate import KeyVault, SetupError, connect_async, new_order_id, new_vault_key
from paygate.sandbox import Sandbox
from paygate.testing.fakepg import FAKEPG

WEBHOOK_KIND = {"steppay-unmanaged": {"kind": "payment"}}
"""Which of the webhooks is meant, where the gateway's console has several."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="the shop's; 0 for a free one")
    parser.add_argument("--control-port", type=int, default=8080, help="the sandbox's control room; 0 for a free one")
    given = parser.parse_args()
    name = os.environ.get("PAYGATE_PROVIDER") or "portone-naverpay"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as until_end:
        folder = until_end.enter_context(TemporaryDirectory())
        try:
            box = until_end.enter_context(Sandbox([name], control_port=given.control_port))
            listening = until_end.enter_context(socket.create_server(("127.0.0.1", given.port)))
        except SetupError as error:
            sys.exit(f"run.py: {error}")
        except OSError as error:
            sys.exit(f"run.py: the shop cannot listen on port {given.port}: {error.strerror}; give it another (--port)")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # One clock for both: turn it in the control room, and the tea is charged for the next month.
        gate = connect_async(FAKEPG if name == FAKEPG.name else name, box.settings(name), ledger=f"{folder}/ledger.db",
                             base_url=box.url(name), clock=box.clock, vault=KeyVault(new_vault_key()))
        made = shop(gate, url=url, secret=new_order_id(), database=f"{folder}/shop.db", work_every_s=1.0)
        box.show_ledger(name, f"{folder}/ledger.db")
        box.do(name, "set_webhook_url", url=f"{url}/pay/webhooks/{name}", **WEBHOOK_KIND.get(name, {}))
        print(f"sandbox: no real money\n\nshop          {url}\ncontrol room  {box.control_url}\ngateway       {name}\n"
              "\nStop with Ctrl-C.", flush=True)
        try:
            uvicorn.Server(uvicorn.Config(made, log_level="warning")).run(sockets=[listening])
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
