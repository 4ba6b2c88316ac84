"""What goes over a merchant's own endpoints, as values; and what a receiver may ask of whoever carries it out.

A receiver's steps are a generator of `Body` and `Do`; run.py carries them out in a thread or in an event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from attrs import evolve, field, frozen

T = TypeVar("T")

Headers = tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class Asked:
    """A request, before its body is read. `path` is what follows the address at which the receiver is mounted."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    """As it arrived, still encoded."""
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """Lower-case names; one that came several times is joined by commas."""
    request: Any = field(default=None, repr=False)
    """The framework's own request."""
    fields: Mapping[str, str] = field(factory=dict, repr=False)
    """What a form posted to this site must bring along for the framework, such as its token against forged requests."""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def cookie(self, name: str) -> str | None:
        """The first cookie of that name."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return None


@frozen(kw_only=True)
class Cookie:
    """A cookie for one path of this site, out of reach of other sites and, unless told otherwise, of scripts."""

    name: str
    value: str = field(repr=False)
    path: str
    max_age_s: int
    secure: bool

    def header(self) -> str:
        """The value of Set-Cookie."""
        secure = "; Secure" if self.secure else ""
        return (f"{self.name}={self.value}; Path={self.path}; Max-Age={self.max_age_s}; HttpOnly; SameSite=Lax"
                f"{secure}")


@frozen(kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: Headers = ()
    cookies: tuple[Cookie, ...] = ()
    body: bytes = field(default=b"", repr=False)

    def with_cookie(self, *cookies: Cookie) -> Answer:
        return evolve(self, cookies=(*self.cookies, *cookies))


_ALWAYS: Headers = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))


def say(status: int, value: Mapping[str, Any], headers: Headers = ()) -> Answer:
    """An answer in JSON, kept by nobody."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status=status, headers=(("content-type", "application/json"), *_ALWAYS, *headers), body=body)


def show(page: str, headers: Headers = ()) -> Answer:
    """A page, kept by nobody."""
    return Answer(status=200, headers=(("content-type", "text/html; charset=utf-8"), *_ALWAYS, *headers),
                  body=page.encode())


def go(url: str) -> Answer:
    """Send the browser on, with a GET."""
    return Answer(status=303, headers=(("location", url), *_ALWAYS))


class Wrong(Exception):
    """A request that is answered with `status` and nothing else. `word` is all that is told."""

    def __init__(self, status: int, word: str, headers: Headers = ()) -> None:
        super().__init__(word)
        self.answer = say(status, {"error": word}, headers)


@frozen
class Body:
    """Read the request's body, at most `limit` bytes and for at most `timeout_s` seconds.

    The driver throws Wrong: 413 for a longer one, 408 for a slower one, 400 for one that breaks off.
    """

    limit: int
    timeout_s: float


@frozen
class Do:
    """Call `function`, which may be async, with `args`. It may wait for a disk or a PG."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()


def do(function: Callable[..., Any], *args: Any) -> Do:
    return Do(function, args)


Effect = Body | Do
Exchange = Generator[Effect, Any, T]


def too_long() -> Wrong:
    return Wrong(413, "too_long")


def too_slow() -> Wrong:
    return Wrong(408, "too_slow")


def broken_off() -> Wrong:
    return Wrong(400, "broken_off")


def stated_length(headers: Mapping[str, str]) -> int | None:
    """The body's length as the request states it; None where it does not.

    Raises: Wrong.
    """
    stated = headers.get("content-length", "").strip()
    if not stated:
        return None
    if not stated.isascii() or not stated.isdigit() or len(stated) > 18:
        raise Wrong(400, "bad_length")
    return int(stated)


FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def body(asked: Asked, types: tuple[str, ...], limit: int, timeout_s: float) -> Exchange[bytes]:
    """The request's body; its type and stated length are looked at before a byte of it is read.

    Raises: Wrong.
    """
    if asked.media_type not in types or asked.headers.get("content-encoding", "identity").strip() != "identity":
        raise Wrong(415, "bad_type")
    if (stated_length(asked.headers) or 0) > limit:
        raise too_long()
    read: bytes = yield Body(limit, timeout_s)
    return read


def pairs(text: str, limit: int = 50) -> list[tuple[str, str]]:
    """The names and values of a query or a form.

    Raises: Wrong for text that is none.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict",
                         max_num_fields=limit)
    except ValueError:
        raise Wrong(400, "bad_form") from None
