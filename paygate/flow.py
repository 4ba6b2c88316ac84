"""A flow says what a PG wants said: a generator that yields requests, is sent responses, and returns a value.

It is written once and driven by sync and async code alike. It has no clock, client, ledger, retry or `async`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from .wire import Request, Response

T = TypeVar("T")

Flow = Generator[Request, Response, T]
"""What every provider verb returns: `def charge(self, cmd: Charge) -> Flow[Payment]`."""
