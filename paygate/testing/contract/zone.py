"""The machine's own time zone, changed for a moment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .told import NotHere


@contextmanager
def at_home_in(zone: str) -> Iterator[None]:
    """Run the block as if the host stood in that zone.

    Raises: NotHere where the system cannot change it.
    """
    # Windows has no tzset; asked for by name, because type checkers look at it from there too.
    tzset = getattr(time, "tzset", None)
    if tzset is None:
        raise NotHere("this system cannot change its time zone within a process")
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        tzset()
