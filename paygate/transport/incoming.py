"""From an answer's head and chunks to a `wire.Response`, bounded before and after decoding."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from ..wire import Response
from .lost import Unusable

BODY_LIMIT = 1 << 20
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Incoming:
    """An answer as it arrives: `take` each chunk, then `response()`."""

    __slots__ = ("_chunks", "_headers", "_size", "_status")

    def __init__(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._status = status
        self._headers = _headers(fields)
        self._chunks: list[bytes] = []
        self._size = 0
        if not 200 <= status <= 599:
            raise Unusable("the answer's status is none")
        if (self._promised() or 0) > BODY_LIMIT:
            raise Unusable("the answer is too long")

    def take(self, chunk: bytes) -> None:
        """One more piece of the body.

        Raises: Unusable past 1 MiB.
        """
        self._size += len(chunk)
        if self._size > BODY_LIMIT:
            raise Unusable("the answer is too long")
        self._chunks.append(chunk)

    def response(self) -> Response:
        """The complete answer.

        Raises: Unusable where the body is shorter or longer than promised, or cannot be decoded.
        """
        promised = self._promised()
        if promised is not None and promised != self._size and self._status not in (204, 304):
            raise Unusable("the answer is not as long as it says")
        body = b"".join(self._chunks)
        encoding = self._headers.get("content-encoding", "identity").strip().lower()
        if body and encoding not in ("", "identity"):
            body = _decoded(body, encoding)
        return Response(self._status, self._headers, body)

    def _promised(self) -> int | None:
        length = self._headers.get("content-length")
        if length is None or "transfer-encoding" in self._headers:
            return None
        if not (length.isascii() and length.isdigit() and len(length) <= 20):
            raise Unusable("the answer's length is none")
        return int(length)


async def take_all(chunks: Any, incoming: Incoming) -> None:
    """Take every chunk of an asynchronous stream, and leave none of its generators half run."""
    pieces = aiter(chunks)
    try:
        async for chunk in pieces:
            incoming.take(chunk)
    finally:
        if (close := getattr(pieces, "aclose", None)) is not None:
            await close()


def _headers(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _decoded(body: bytes, encoding: str) -> bytes:
    # We ask for identity; some gateways compress all the same.
    if encoding in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP)
    if encoding == "deflate":
        # RFC 9110 means zlib's format by it; a body without zlib's two-byte header is bare deflate.
        has_header = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflated(body, _ZLIB if has_header else _RAW)
    raise Unusable("the answer's encoding is not known")


def _inflated(body: bytes, window: int) -> bytes:
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        raise Unusable("the answer cannot be decompressed") from None
    if len(plain) > BODY_LIMIT:
        raise Unusable("the answer is too long")
    if not inflater.eof or inflater.unused_data:
        raise Unusable("the answer cannot be decompressed")
    return plain
