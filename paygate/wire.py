"""What goes over the wire, as values: a request a flow yields, the response it gets back, a token.

A path is made by `path()` alone: every parameter becomes exactly one percent-encoded segment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn
from urllib.parse import quote

from attrs import Attribute, Factory, field, frozen

from .errors import BadCommand
from .secret import Secret
from .text import is_clean

_TEMPLATE = re.compile(r"(?:/(?:[A-Za-z0-9_.\-]+|\{\}))+")
_SEGMENT_LIMIT = 200


class Path:
    """A URL path whose every parameter is one segment. Only `path()` makes one."""

    __slots__ = ("_template", "_text")
    _template: str
    _text: str

    def __init__(self) -> None:
        raise TypeError("a Path is made by paygate.wire.path(template, *segments)")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Path does not change")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Path is final")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"path({self._template!r}, …)" if "{}" in self._template else f"path({self._template!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def path(template: str, *segments: str | Secret) -> Path:
    """Fill each `{}` of `template` with one encoded segment: `path("/payments/{}", id)`.

    Raises: BadCommand for a segment that is empty, `.` or `..`, over 200 characters, or holds a control character
    or half a character; ValueError for a template that is not a plain path.
    """
    if not _TEMPLATE.fullmatch(template) or "/." in template:
        raise ValueError("a path template is /word/{}/word")
    if template.count("{}") != len(segments):
        raise ValueError("a path template needs as many segments as it has {}")
    made = object.__new__(Path)
    object.__setattr__(made, "_template", template)
    object.__setattr__(made, "_text", template.format(*map(_segment, segments)))
    return made


def _segment(value: str | Secret) -> str:
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str) or not 0 < len(text) <= _SEGMENT_LIMIT or text in (".", ".."):
        raise BadCommand("an id in a path must be 1 to 200 characters and not dots; nothing was sent")
    if not is_clean(text):
        raise BadCommand("an id in a path holds a control character or half a character; nothing was sent")
    return quote(text, safe="")


def _is_path(_: object, __: object, value: Any) -> None:
    if not isinstance(value, Path):
        raise TypeError("Request.path is made by paygate.wire.path(template, *segments)")


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Query = tuple[tuple[str, "str | Secret"], ...]


@frozen
class Request:
    """One HTTP request. `Request("GET", path("/payments/{}", id), auth=True)`.

    `json` is a JSON body; Secrets in it, in `headers` and in `query` are revealed only while they are written.
    `auth` asks the core to add the provider's token (`Provider.token`).
    `repeatable` says that sending it twice is the same as sending it once; only such a request is ever sent twice.
    It defaults to True for GET and to False for everything else.
    """

    method: Method
    path: Path = field(validator=_is_path)
    query: Query = field(default=(), kw_only=True)
    json: Any = field(default=None, repr=False, kw_only=True)
    headers: Mapping[str, str | Secret] = field(factory=dict, repr=False, kw_only=True)
    auth: bool = field(default=False, kw_only=True)
    # A Factory, not attrs' @repeatable.default: not every type checker knows that as a default.
    repeatable: bool = field(default=Factory(lambda made: made.method == "GET", takes_self=True), kw_only=True)

    @query.validator
    def _query(self, _: Attribute[Any], value: Query) -> None:
        if not all(isinstance(k, str) and isinstance(v, (str, Secret)) for k, v in value):
            raise TypeError("Request.query is pairs of text")


@frozen
class Response:
    """A complete HTTP response. Header names are lower-case; `body` is at most 1 MiB, already decoded."""

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@frozen(kw_only=True)
class Token:
    """A PG's access token: the headers to send with each request, and for how many seconds from now they hold."""

    headers: Mapping[str, Secret]
    lifetime_s: float


class Lost(Exception):
    """No complete response came back. A signal between the transport and the core; merchants never see it.

    `sent` is False only where no byte of the request can have left. `why` is in our own words, without URL or header.
    `may_retry` is False where trying again cannot help (a certificate that does not verify).
    """

    def __init__(self, why: str, *, sent: bool, may_retry: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent
        self.may_retry = may_retry
