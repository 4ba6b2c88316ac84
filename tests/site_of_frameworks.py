"""A merchant's site with FakePG behind it, in each framework: the same shop, the same requests, no sockets."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import frozen

from paygate import Event, MemoryLedger, Money, Pay, Register, connect, connect_async
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.web import AsyncInbox, Inbox, Outcome, Receiver, Visit

FRAMEWORKS = ("asgi", "django", "flask")
URL = "https://shop.example/pay"
SECRET = "a secret of at least sixteen characters"
FORM = "application/x-www-form-urlencoded"


@frozen(kw_only=True)
class Got:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Slow:
    """A body that comes in pieces; `wait` is called before each."""

    def __init__(self, pieces: Iterable[bytes], wait: Callable[[], None] = lambda: None, *,
                 breaks_off: bool = False) -> None:
        self.pieces = list(pieces)
        self.breaks_off = breaks_off
        self.wait = wait
        self.was_read = 0

    def read(self, _size: int = -1) -> bytes:
        self.wait()
        piece = self.pieces.pop(0) if self.pieces else b""
        self.was_read += len(piece)
        return piece

    readline = read


Call = Callable[[str, str, Mapping[str, str], "bytes | Slow"], Got]


class Site:
    """The shop sells one book: 14,000 won, whatever the browser says. `cart` is its database."""

    def __init__(self, framework: str, *, ledger: Any = None, **options: Any) -> None:
        self.pg = FakePG()
        self.pg.issue_key("key-1")
        self.clock = self.pg.clock
        self.ledger = MemoryLedger() if ledger is None else ledger
        self.framework = framework
        self.cart = "o1"
        self.wants: Any = Pay
        self.next_page = "/thanks"
        self.outcomes: list[Outcome] = []
        self.heard: list[Event] = []
        self.visits: list[Visit] = []
        self.cookies: dict[str, tuple[str, str]] = {}
        make: Any = connect_async if framework == "asgi" else connect
        self.gate = make(FAKEPG, self.pg.settings(), ledger=self.ledger, clock=self.clock,
                         http=EmulatorTransport(self.pg))
        rate = options.pop("lookups_per_s", 5.0)
        self.inbox: Any = (AsyncInbox if framework == "asgi" else Inbox)(self.gate, lookups_per_s=rate)
        self.inbox.on("payment_paid", "payment_failed", "payment_cancelled", "key_registered")(self.hear)
        self.receiver = Receiver(self.inbox, url=URL, secret=SECRET, order=self.order, done=self.done, **options)
        self._runner = asyncio.Runner() if framework == "asgi" else None
        self.wsgi: Any = None
        self._call: Call = {"asgi": self._asgi, "django": self._django, "flask": self._flask}[framework]()

    # The merchant's own code

    def order(self, visit: Visit) -> Any:
        self.visits.append(visit)
        if visit.form.get("product") != "book":
            return "/books"
        return self.wants(order_id=self.cart, money=Money(14_000, "KRW"), title="Book",
                          return_url=visit.return_url(self.cart))

    def done(self, visit: Visit, outcome: Outcome) -> str:
        self.visits.append(visit)
        self.outcomes.append(outcome)
        return self.next_page

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    # The payer's browser and the PG

    def call(self, method: str, path: str, *, body: bytes | Slow = b"",
             headers: Mapping[str, str] | None = None) -> Got:
        """One request, with the cookies that belong to its path; "/pay" is where the receiver is mounted."""
        jar = "; ".join(f"{n}={v}" for n, (p, v) in self.cookies.items() if path.partition("?")[0].startswith(p))
        sent = {**({"cookie": jar} if jar else {}), "host": "shop.example",
                **({} if isinstance(body, Slow) or not body else {"content-length": str(len(body))}),
                **(headers or {})}
        got = self._call(method, path, sent, body)
        for name, value in got.headers:
            if name == "set-cookie":
                self._keep(value)
        return got

    def _keep(self, cookie: str) -> None:
        pair, *rest = cookie.strip().split("; ")
        name, _, value = pair.partition("=")
        said = dict(r.lower().partition("=")[::2] for r in rest)
        if name == "csrftoken":
            return
        assert said["samesite"] == "lax"
        assert {"httponly", "secure"} <= set(said)
        if said["max-age"] == "0":
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = (said["path"], value)

    def token(self) -> dict[str, str]:
        """The field that a form of the merchant's page brings along, where the framework wants one."""
        if self.framework != "django":
            return {}
        self.cookies["csrftoken"] = ("/", "a" * 32)
        return {"csrfmiddlewaretoken": "a" * 32}

    def start(self, *, accept: str = "application/json", **form: str) -> Got:
        """Press the button."""
        fields = {"product": "book", **self.token(), **form}
        return self.call("POST", "/pay/start", body=urlencode(fields).encode(),
                         headers={"content-type": FORM, "accept": accept, "sec-fetch-site": "same-origin",
                                  "origin": "https://shop.example", "referer": "https://shop.example/"})

    def complete_path(self) -> str:
        return urlsplit(self.receiver.return_url(self.cart)).path

    def redirected(self, query: Mapping[str, str]) -> Got:
        """The PG sends the browser back with a query."""
        return self.call("GET", f"{self.complete_path()}?{urlencode(query)}", headers={"sec-fetch-site": "cross-site"})

    def posted(self, fields: Mapping[str, str]) -> Got:
        """paygate.js posts what a PG's script told."""
        return self.call("POST", self.complete_path(), body=urlencode({**fields, **self.token()}).encode(),
                         headers={"content-type": FORM, "sec-fetch-site": "same-origin",
                                  "origin": "https://shop.example", "referer": "https://shop.example/"})

    def hook(self, order_id: Any = "o1", payment_id: Any = "p1", *, body: bytes | Slow | None = None,
             **headers: str) -> Got:
        """The PG posts a webhook."""
        said = json.dumps({"order_id": order_id, "payment_id": payment_id}).encode() if body is None else body
        return self.call("POST", "/pay/webhooks/fakepg", body=said,
                         headers={"content-type": "application/json",
                                  **{k.replace("_", "-"): v for k, v in headers.items()}})

    def work(self) -> Any:
        done = self.inbox.work()
        return done if self._runner is None else self._runner.run(done)

    def lookups(self) -> int:
        """How many look-ups reached the PG."""
        return sum(c.method == "GET" for c in self.pg.calls)

    def row(self, order_id: str = "o1") -> Any:
        from paygate.ledger.row import Book

        return self.ledger.get(self.gate._account.scope, Book.PAYMENT, order_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is None:
            self.gate.close()
        else:
            self._runner.run(self.gate.close())
            self._runner.close()
        self.ledger.close()

    # The frameworks

    def _asgi(self) -> Call:
        from starlette.applications import Starlette
        from starlette.routing import Mount

        from paygate.web.asgi import asgi

        return lambda *given: self.run(over_asgi(Starlette(routes=[Mount("/pay", asgi(self.receiver))]), *given))

    def run(self, awaitable: Any) -> Any:
        assert self._runner is not None
        return self._runner.run(awaitable)

    def _django(self) -> Call:
        from django.core.handlers.wsgi import WSGIHandler
        from django.urls import include, path

        from paygate.web.django import urls

        configured_django()
        patterns = ModuleType("urls")
        patterns.urlpatterns = [path("pay/", include(urls(self.receiver)))]  # type: ignore[attr-defined]

        class Handler(WSGIHandler):
            def get_response(self, request: Any) -> Any:
                request.urlconf = patterns  # Of this request alone: others may be under way.
                return super().get_response(request)

        self.wsgi = Handler()
        return lambda *given: over_wsgi(self.wsgi, *given)

    def _flask(self) -> Call:
        from flask import Flask

        from paygate.web.flask import blueprint

        app = Flask(__name__)
        app.testing = True
        app.register_blueprint(blueprint(self.receiver), url_prefix="/pay")
        self.wsgi = app.wsgi_app
        return lambda *given: over_wsgi(self.wsgi, *given)


def configured_django() -> None:
    """Django as a shop has it: with its protection against forged requests."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["shop.example"], SECRET_KEY=SECRET, ROOT_URLCONF="none", DEBUG_PROPAGATE_EXCEPTIONS=True,
            SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), LOGGING_CONFIG=None,
            MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware",
                        "django.middleware.csrf.CsrfViewMiddleware",
                        "django.middleware.clickjacking.XFrameOptionsMiddleware"])
        django.setup()


async def over_asgi(app: Any, method: str, target: str, headers: Mapping[str, str], body: bytes | Slow) -> Got:
    path, _, query = target.partition("?")
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
             "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
             "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()],
             "server": ("shop.example", 443), "client": ("192.0.2.1", 1234)}
    said: list[Any] = []

    async def receive() -> Any:
        if isinstance(body, bytes):
            return {"type": "http.request", "body": body, "more_body": False}
        piece = await asyncio.to_thread(body.read)
        if body.breaks_off and not piece:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, receive, send)
    return Got(status=said[0]["status"],
               headers=tuple((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in said[0]["headers"]),
               body=b"".join(m.get("body", b"") for m in said[1:]))


def over_wsgi(app: Any, method: str, target: str, headers: Mapping[str, str], body: bytes | Slow) -> Got:
    path, _, query = target.partition("?")
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
               "SERVER_NAME": "shop.example", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
               "REMOTE_ADDR": "192.0.2.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "https",
               "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
               "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body, "wsgi.input_terminated": True,
               "HTTP_X_FORWARDED_PROTO": "https"}
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    said: list[Any] = []

    def start(status: str, given: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], Any]:
        said.extend([int(status[:3]), tuple((n.lower(), v) for n, v in given)])
        return lambda _: None

    out = app(environ, start)
    try:
        whole = b"".join(out)
    finally:
        if hasattr(out, "close"):
            out.close()
    return Got(status=said[0], headers=said[1], body=whole)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


__all__ = ["FRAMEWORKS", "URL", "Got", "Register", "Site", "Slow", "query_of"]
