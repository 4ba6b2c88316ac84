"""A shop's payment endpoints in one framework, beside a bare handler and a page of figures. Served in a process of its
own for benchmarks/webhooks.py; its PG is FakePG, in the same process, so a look-up costs next to nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from paygate import Event, Money, Pay, connect, connect_async
from paygate.ledger.row import Book
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.emulator import VirtualClock
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.web import AsyncInbox, Inbox, Outcome, Receiver, Visit

FRAMEWORKS = ("asgi", "django", "flask")
WON = Money(14_000, "KRW")


class Site:
    """`app` is the framework's application: "/pay" is ours, "/bare" answers after reading its JSON, "/figures" counts.

    Order "open" was begun and is not paid; order "paid" was paid and no webhook has come for it yet.
    """

    def __init__(self, framework: str, folder: str) -> None:
        self.pg = FakePG(VirtualClock(ticking=True))
        self.heard: list[str] = []
        make: Any = connect_async if framework == "asgi" else connect
        self.ledger = SqliteLedger(Path(folder) / "ledger.db")
        self.gate = make(FAKEPG, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg))
        self.inbox: Any = (AsyncInbox if framework == "asgi" else Inbox)(self.gate)
        self.inbox.on("payment_paid")(self.hear)
        self.receiver = Receiver(self.inbox, url="http://127.0.0.1:1/pay", secret="for benchmarks only",
                                 order=self.order, done=self.done)
        first = connect(FAKEPG, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg))
        for order_id in ("open", "paid"):
            first.pay(Pay(order_id=order_id, money=WON, title="Book", return_url="https://shop.example/back"))
        self.pg.payer("paid")
        self.pg.calls.clear()
        self.app: Any = {"asgi": self._asgi, "django": self._django, "flask": self._flask}[framework]()

    def hear(self, event: Event) -> None:
        self.heard.append(event.id)

    def order(self, visit: Visit) -> str:
        return "/"

    def done(self, visit: Visit, outcome: Outcome) -> str:
        return "/"

    def figures(self) -> dict[str, Any]:
        rows = {row.id: row.state for row in (self.ledger.get("fakepg/test", Book.PAYMENT, o)
                                              for o in ("open", "paid")) if row is not None}
        return {"lookups": sum(c.method == "GET" for c in self.pg.calls), "rows": rows, "heard": len(self.heard)}

    def _asgi(self) -> Any:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import JSONResponse
        from starlette.routing import Mount, Route

        from paygate.web.asgi import asgi

        async def bare(request: Request) -> JSONResponse:
            json.loads(await request.body())
            return JSONResponse({"ok": True})

        async def figures(_: Request) -> JSONResponse:
            return JSONResponse(self.figures())

        return Starlette(routes=[Mount("/pay", asgi(self.receiver)), Route("/bare", bare, methods=["POST"]),
                                 Route("/figures", figures)])

    def _django(self) -> Any:
        import django
        from django.conf import settings
        from django.core.handlers.wsgi import WSGIHandler
        from django.http import HttpRequest, JsonResponse
        from django.urls import include, path
        from django.views.decorators.csrf import csrf_exempt

        from paygate.web.django import urls

        def bare(request: HttpRequest) -> JsonResponse:
            json.loads(request.body)
            return JsonResponse({"ok": True})

        def figures(_: HttpRequest) -> JsonResponse:
            return JsonResponse(self.figures())

        if not settings.configured:
            settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="for benchmarks only", ROOT_URLCONF="urls_of_benchmark",
                               LOGGING_CONFIG=None, MIDDLEWARE=["django.middleware.common.CommonMiddleware",
                                           "django.middleware.csrf.CsrfViewMiddleware"])
            django.setup()
        module: Any = type(sys)("urls_of_benchmark")
        module.urlpatterns = [path("pay/", include(urls(self.receiver))), path("bare", csrf_exempt(bare)),
                              path("figures", figures)]
        sys.modules["urls_of_benchmark"] = module
        return WSGIHandler()

    def _flask(self) -> Any:
        from flask import Flask, Response, jsonify, request

        from paygate.web.flask import blueprint

        app = Flask(__name__)
        app.register_blueprint(blueprint(self.receiver), url_prefix="/pay")

        @app.post("/bare")
        def bare() -> Response:
            json.loads(request.get_data())
            return jsonify(ok=True)

        @app.get("/figures")
        def figures() -> Response:
            return jsonify(self.figures())

        return app.wsgi_app


def serve(framework: str) -> None:
    """Serve on a free port of loopback, say which, until killed."""
    import logging

    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        app = Site(framework, folder).app
        if framework == "asgi":
            import asyncio
            import socket

            import uvicorn

            # Named, or asyncio would not switch off the delay of small packets.
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
            print(listener.getsockname()[1], flush=True)
            asyncio.run(server.serve(sockets=[listener]))
        else:
            from werkzeug.serving import WSGIRequestHandler, make_server

            WSGIRequestHandler.protocol_version = "HTTP/1.1"  # keep-alive
            made = make_server("127.0.0.1", 0, app, threaded=True)
            print(made.port, flush=True)
            made.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
