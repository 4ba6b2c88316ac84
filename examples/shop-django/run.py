"""The shop and a sandbox of its payment gateway, in one command: `python examples/shop-django/run.py`. No real money.

PAYGATE_PROVIDER says which gateway: portone-naverpay (where it is not set), steppay-managed, steppay-unmanaged, fakepg.
Everything is forgotten when it ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from threading import Event, Thread

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection

from paygate import KeyVault, SetupError, new_order_id, new_vault_key
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
            server = until_end.enter_context(ThreadedWSGIServer(("127.0.0.1", given.port), WSGIRequestHandler))
        except SetupError as error:
            sys.exit(f"run.py: {error}")
        except OSError as error:
            sys.exit(f"run.py: the shop cannot listen on port {given.port}: {error.strerror}; give it another (--port)")
        url = f"http://127.0.0.1:{server.server_port}"
        os.environ.update(DJANGO_SETTINGS_MODULE="shop.settings", SHOP_URL=url, SHOP_SECRET=new_order_id(),
                          SHOP_DATABASE=f"{folder}/shop.db")
        # One clock for both: turn it in the control room, and the tea is charged for the next month.
        settings.PAYGATE = {
            "provider": FAKEPG if name == FAKEPG.name else name, "settings": box.settings(name),
            "ledger": f"{folder}/ledger.db", "base_url": box.url(name), "clock": box.clock,
            "vault": KeyVault(new_vault_key())}
        django.setup()
        call_command("migrate", verbosity=0)
        server.set_app(get_wsgi_application())  # pyright: ignore[reportArgumentType]
        logging.getLogger("django.server").setLevel(logging.WARNING)
        box.show_ledger(name, f"{folder}/ledger.db")
        box.do(name, "set_webhook_url", url=f"{url}/pay/webhooks/{name}", **WEBHOOK_KIND.get(name, {}))
        stop = Event()
        worker = Thread(target=keep_working, args=[stop])
        worker.start()
        print(f"sandbox: no real money\n\nshop          {url}\ncontrol room  {box.control_url}\ngateway       {name}\n"
              "\nStop with Ctrl-C.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            stop.set()
            worker.join()
            from shop.payments import gate

            gate.close()


def keep_working(stop: Event) -> None:
    """What cron does in production."""
    while not stop.wait(1.0):
        try:
            call_command("work")
        except Exception:
            logging.exception("the shop's work failed; it is done again")
        finally:
            connection.close()


if __name__ == "__main__":
    main()
