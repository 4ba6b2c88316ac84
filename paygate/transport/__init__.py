"""The door to HTTP: the one place that opens connections to a PG. It knows nothing of money, retries or ledgers.

`Door.send` and `AsyncDoor.send` return a complete `wire.Response` or raise `Lost`, which says whether a byte left.
Sockets, TLS, httpcore and httpx are imported at first use.
"""

from ..clock import Deadline
from ..wire import Lost
from .doors import AsyncDoor, Door

__all__ = ["AsyncDoor", "Deadline", "Door", "Lost"]
