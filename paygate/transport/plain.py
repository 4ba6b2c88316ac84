"""The plainest of answers, read at a glance: one head, one stated length, the whole body. Pure.

Nearly every answer of a PG is one. Whatever is not plain beyond doubt (chunks, no length, an interim head, an odd byte)
is left to httpcore, which then reads it from its first byte.
"""

from __future__ import annotations

import re

from ..wire import Response
from .incoming import BODY_LIMIT, Incoming

# A part of what RFC 9112 allows: no folded lines, no bare line feeds, no control characters, one final status.
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?\r\n"
                   rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+)\r\n")
_HEAD_LIMIT = 16_384
_BODILESS = (204, 304)


class Answer:
    """An answer as its bytes arrive: `look` at all of them until it is whole or `is_plain` no more."""

    __slots__ = ("_end", "_incoming", "_start", "is_plain", "stays_open")

    def __init__(self) -> None:
        self.is_plain = True
        self.stays_open = False
        """Whether the connection may be used again after it."""
        self._incoming: Incoming | None = None
        self._start = self._end = 0

    def look(self, arrived: bytearray) -> Response | None:
        """The answer, once it is complete.

        Raises: Unusable where it says that it is too long, or cannot be decoded.
        """
        if self._incoming is None and not self._has_head(arrived):
            return None
        incoming = self._incoming
        if incoming is None or len(arrived) < self._end:
            return None
        incoming.take(bytes(arrived[self._start:self._end]))
        self.stays_open = self.stays_open and len(arrived) == self._end
        return incoming.response()

    def _has_head(self, arrived: bytearray) -> bool:
        end = arrived.find(b"\r\n\r\n")
        if end < 0:
            self.is_plain = len(arrived) <= _HEAD_LIMIT
            return False
        head = _HEAD.fullmatch(arrived, 0, end + 4)
        if head is None:
            self.is_plain = False
            return False
        status = int(head[1])
        fields = [(name, value.strip(b" \t")) for name, _, value in
                  (line.partition(b":") for line in bytes(head[2]).split(b"\r\n")[:-1])]
        said = [(name.lower(), value) for name, value in fields]
        if status in _BODILESS or not _is_framed(said):
            self.is_plain = False
            return False
        kept = [value.lower() for name, value in said if name == b"connection"]
        self.stays_open = kept in ([], [b"keep-alive"])
        self._incoming = Incoming(status, fields)
        self._start = end + 4
        self._end = self._start + int(dict(said)[b"content-length"])
        return True


def _is_framed(said: list[tuple[bytes, bytes]]) -> bool:
    """Whether one stated length, and nothing else, says where the body ends."""
    lengths = [value for name, value in said if name == b"content-length"]
    return (len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) <= len(str(BODY_LIMIT))
            and all(name != b"transfer-encoding" for name, _ in said))
