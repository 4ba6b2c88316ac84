"""Webhooks on their way from an emulated PG to the merchant: one at a time, oldest first, to loopback only.

Nothing is repeated by itself: what a PG repeats, its emulator sends again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import define

from ..testing.emulator import Hook

log = logging.getLogger("paygate.sandbox")

TIMEOUT_S = 5.0
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@define(kw_only=True)
class Delivery:
    """One attempt to hand over a webhook.

    `state` is waiting, delivered (2xx), failed, or not_delivered (its URL is not a loopback one).
    """

    hook: int
    """The webhook's number: its place in the emulator's list."""
    state: str = "waiting"
    status: int | None = None
    error: str | None = None


def is_loopback_url(url: str) -> bool:
    """True where `url` can lead to this machine only: a loopback number or "localhost", and no user name."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        plain = parts.scheme in ("http", "https") and "@" not in parts.netloc and port != 0
        return plain and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


class Courier:
    """Delivers the webhooks of one emulator. `changed` is called with `lock` held, whenever a delivery has changed."""

    def __init__(self, hooks: Callable[[], list[Hook]], lock: AbstractContextManager[Any],
                 changed: Callable[[], None]) -> None:
        self.deliveries: list[Delivery] = []
        self._hooks = hooks
        self._lock = lock
        self._changed = changed
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._client: httpx.AsyncClient | None = None

    def accept(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        """Take the webhook of that number, from any thread, with the lock held."""
        delivery = self._enter(number)
        if delivery.state == "waiting":
            loop.call_soon_threadsafe(lambda: self._waiting.put_nowait(delivery))

    async def work(self) -> None:
        """Deliver what is accepted, until cancelled."""
        self._waiting = asyncio.Queue()  # of the loop that runs now
        # No keep-alive: a merchant's server that was restarted between two webhooks must not cost one of them.
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S,
                                     limits=httpx.Limits(max_keepalive_connections=0)) as self._client:
            while True:
                await self._deliver(await self._waiting.get())

    async def redeliver(self, number: int) -> Delivery:
        """Deliver the webhook of that number once more, now.

        Raises: IndexError.
        """
        with self._lock:
            delivery = self._enter(number)
        if delivery.state == "waiting":
            await self._deliver(delivery)
        return delivery

    def _enter(self, number: int) -> Delivery:
        hook = self._hooks()[number]
        delivery = Delivery(hook=number)
        if not is_loopback_url(hook.url):
            delivery.state = "not_delivered"
            delivery.error = "the sandbox delivers to loopback only" if hook.url else "no webhook URL is registered"
        self.deliveries.append(delivery)
        self._changed()
        return delivery

    async def _deliver(self, delivery: Delivery) -> None:
        status: int | None = None
        error: str | None = None
        try:
            status = await self._post(self._hooks()[delivery.hook])
        except TimeoutError:
            error = f"no answer within {TIMEOUT_S:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
            error = type(fault).__name__
        except Exception as fault:
            log.exception("a webhook could not be sent")
            error = type(fault).__name__
        with self._lock:
            delivery.status, delivery.error = status, error
            delivery.state = "delivered" if status is not None and 200 <= status < 300 else "failed"
            self._changed()

    async def _post(self, hook: Hook) -> int:
        assert self._client is not None
        headers = {name: value for name, value in hook.headers.items() if name.lower() not in _OURS}
        # The client's time-out is per step; this one is for the whole.
        async with (asyncio.timeout(TIMEOUT_S),
                    self._client.stream("POST", hook.url, headers=headers, content=hook.body) as answer):
            return answer.status_code
