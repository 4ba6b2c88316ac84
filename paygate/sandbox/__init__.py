"""The providers' emulators served over HTTP on loopback, with a clock that can be turned. No real money; never imported
by the path that moves real money."""

from __future__ import annotations

from .asgi import asgi_app
from .sandbox import Sandbox

__all__ = ["Sandbox", "asgi_app"]
