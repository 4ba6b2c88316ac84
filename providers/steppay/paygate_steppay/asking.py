"""How every request is made: the token in its header, JSON in the body."""

from __future__ import annotations

from typing import Any

from paygate.secret import Secret
from paygate.wire import Method, Path, Query, Request


class Asking:
    """Makes requests that carry one merchant's token."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def get(self, where: Path, *query: tuple[str, str | Secret]) -> Request:
        """A look-up."""
        pairs: Query = query
        return Request("GET", where, query=pairs, headers={"Secret-Token": self._token})

    def send(self, method: Method, where: Path, body: Any = None, *, repeatable: bool = False,
             both_headers: bool = False) -> Request:
        """A command. `both_headers`: the guide prints a refund's header as Secret-Key, everything else as Secret-Token
        (both documented), so a refund carries both.
        """
        names = ("Secret-Token", "Secret-Key") if both_headers else ("Secret-Token",)
        return Request(method, where, json=body, headers=dict.fromkeys(names, self._token), repeatable=repeatable)
