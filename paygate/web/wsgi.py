"""The body of a WSGI request as it arrived, before a framework makes something of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exchange import Body, Wrong, stated_length
from .run import BodyReader


def read_input(reader: BodyReader, environ: Mapping[str, Any], wanted: Body) -> bytes:
    """The request's body.

    Raises: Wrong; 411 where its end is known neither from its length nor by the server.
    """
    length = stated_length({"content-length": environ.get("CONTENT_LENGTH") or ""})
    if length is None and not environ.get("wsgi.input_terminated"):
        if environ.get("HTTP_TRANSFER_ENCODING"):
            raise Wrong(411, "length_required")
        return b""
    return reader.read(environ["wsgi.input"], length, wanted)
