"""From a `wire.Request` to bytes: the address, the request line, the header fields, the body.

Everything that could be wrong with a request is found here, before a connection is opened. A `Letter` holds revealed
secrets: it shows none of them, is kept by nobody, and is written once.
"""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import quote, urlsplit

from attrs import frozen

from ..codec import write_json
from ..errors import BadSettings
from ..secret import Secret
from ..wire import Request, Token
from .lost import Unusable

Fields = list[tuple[bytes, bytes]]

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_OURS = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "te", "trailer",
                   "upgrade", "expect", "keep-alive", "proxy-connection", "proxy-authorization"})
_PORTS = {"http": 80, "https": 443}


@frozen
class Address:
    """Where a door leads. `authority` is the Host header, `prefix` the path that every request's path is put after."""

    scheme: str
    host: str
    port: int
    authority: str
    prefix: str
    is_literal: bool = False
    """Whether `host` is an IP address, with nothing to be resolved."""


def parse_address(base_url: object) -> Address:
    """Read a base URL strictly: scheme, host, perhaps a port and a path, and nothing else.

    Raises: BadSettings, also for http:// to anything but this machine itself.
    """
    wrong = "a base URL is https://host[:port][/path], without user, query or fragment; nothing was sent"
    if not isinstance(base_url, str) or not base_url.isascii() or re.search(r"[\x00-\x20\x7f\\@?#]", base_url):
        raise BadSettings(wrong)
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
        literal = _ip(host)
    except ValueError:
        raise BadSettings(wrong) from None
    bracketed = "[" in parts.netloc
    if parts.scheme not in _PORTS or port == 0 or parts.netloc.endswith(":") or not _BASE_PATH.fullmatch(parts.path):
        raise BadSettings(wrong)
    if bracketed != (":" in host) or not (literal or _HOST.fullmatch(host)) or ".." in host:
        raise BadSettings(wrong)
    if parts.scheme == "http" and host != "localhost" and literal != "loopback":
        raise BadSettings("http:// is for this machine's own addresses only; use https://; nothing was sent")
    shown = f"[{host}]" if bracketed else host
    default = _PORTS[parts.scheme]
    authority = shown if port in (None, default) else f"{shown}:{port}"
    return Address(parts.scheme, host, port or default, authority, parts.path.rstrip("/"), is_literal=bool(literal))


def _ip(host: str) -> str:
    if ":" not in host and not host.replace(".", "").isdigit():
        return ""
    from ipaddress import ip_address

    if "%" in host:
        raise ValueError("a zone is not part of a base URL")
    return "loopback" if ip_address(host).is_loopback else "address"


@cache
def user_agent() -> bytes:
    """`paygate/<version>`."""
    # Imported at the first request: it costs as much as everything else of `import paygate` together.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return b"paygate/" + version("paygate-core").encode("ascii")
    except PackageNotFoundError:
        return b"paygate/0"


class Letter:
    """One request, ready to be written. It has no repr, so that no listing of variables shows what it holds."""

    __slots__ = ("body", "fields", "method", "target")

    def __init__(self, method: str, target: bytes, fields: Fields, body: bytes) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body

    def wire(self) -> memoryview:
        """The whole request as it goes over the wire; a memoryview, because its repr shows nothing."""
        return memoryview(b"".join([
            self.method.encode("ascii"), b" ", self.target, b" HTTP/1.1\r\n",
            *[b"%b: %b\r\n" % pair for pair in self.fields], b"\r\n", self.body,
        ]))


def compose(address: Address, request: Request, token: Token | None, *, keep_alive: bool) -> Letter:
    """Write `request` down, with the token's headers last, so that they win.

    Raises: Unusable for a header, query or body that cannot travel.
    """
    fields: dict[str, tuple[bytes, bytes]] = {
        "host": (b"Host", address.authority.encode("ascii")),
        "accept": (b"Accept", b"application/json"),
        "accept-encoding": (b"Accept-Encoding", b"identity"),
        "user-agent": (b"User-Agent", user_agent()),
    }
    body = b""
    if request.json is not None:
        body = _body(request)
        fields["content-type"] = (b"Content-Type", b"application/json")
    for headers in (request.headers, {} if token is None else token.headers):
        for name, value in headers.items():
            fields[str(name).lower()] = _field(name, value)
    if body or request.method in ("POST", "PUT", "PATCH"):
        fields["content-length"] = (b"Content-Length", b"%d" % len(body))
    if not keep_alive:
        fields["connection"] = (b"Connection", b"close")
    return Letter(request.method, _target(address, request), list(fields.values()), body)


def _body(request: Request) -> bytes:
    try:
        return write_json(request.json)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"the body cannot be written as JSON ({type(error).__name__})", may_retry=False) from None


def _field(name: object, value: object) -> tuple[bytes, bytes]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Unusable("a header's name is not one", may_retry=False)
    if name.lower() in _OURS:
        raise Unusable(f"the header {name} is set by the transport alone", may_retry=False)
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str) or not _VALUE.fullmatch(text):
        raise Unusable(f"the value of the header {name} cannot travel", may_retry=False)
    return name.encode("ascii"), text.encode("latin-1")


def _target(address: Address, request: Request) -> bytes:
    text = f"{address.prefix}{request.path}"
    if request.query:
        try:
            text += "?" + "&".join(f"{quote(k, safe='')}={_quoted(v)}" for k, v in request.query)
        except UnicodeEncodeError:
            raise Unusable("the query holds half a character", may_retry=False) from None
    return text.encode("ascii")


def _quoted(value: str | Secret) -> str:
    return quote(value.reveal() if isinstance(value, Secret) else value, safe="")
