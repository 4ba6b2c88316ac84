"""Whom a port of the sandbox refuses: pages of other sites that happen to be open in a browser on this machine.

The Host header has to name loopback, which a name rebound to this machine does not (DNS rebinding). What changes
something is asked for by pages of the same origin only, where a browser says whose page asks.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..testing.emulator import Call
from ..testing.pages import PREFIX
from ..wire import Response
from .server import error_response


def refuse_strangers(call: Call) -> Response | None:
    """The refusal of a call for a payer's page by another site; None for every other call."""
    if not call.path.startswith(PREFIX):
        return None
    if not is_this_machine(host := call.headers.get("host", "")):
        return error_response(421, "the Host header has to be 127.0.0.1, [::1] or localhost")
    if call.method not in ("GET", "HEAD") and not is_own_page(call, f"http://{host}"):
        return error_response(403, "another site's page may not act for the payer")
    return None


def is_own_page(call: Call, *origins: str) -> bool:
    """False where a browser says that a page of another origin asks. What is no browser says nothing."""
    origin = call.headers.get("origin")
    return origin is None or origin in origins


def is_this_machine(host: str) -> bool:
    """True for a Host header that names loopback."""
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]]+", host):
        return False
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no port
        name = (parts.hostname or "").lower()
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
