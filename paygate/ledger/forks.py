"""What a store does when its process forks: a child shares no connection, lock or waiting job with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forks(Protocol):
    """Something that must be told."""

    def before_fork(self) -> None: ...

    def after_fork(self, *, is_child: bool) -> None: ...


_told: weakref.WeakSet[Forks] = weakref.WeakSet()


def tell(one: Forks) -> None:
    """Tell `one` from now on."""
    _told.add(one)


def _before() -> None:
    for one in list(_told):
        one.before_fork()


def _after_in_parent() -> None:
    for one in list(_told):
        one.after_fork(is_child=False)


def _after_in_child() -> None:
    for one in list(_told):
        one.after_fork(is_child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
