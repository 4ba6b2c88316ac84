"""Paged lists, as the PG cuts them."""

from __future__ import annotations

from typing import Any

from .bodies import Fields, whole
from .words import bad


def page_of(items: list[Any], query: Fields, *, beyond_is_bad: bool = False) -> dict[str, Any]:
    """`page` counts from 1, `limit` is 1 to 1000 (20); `previous` and `next` are page numbers, 0 for none (documented).

    Raises: Refusal for numbers out of bounds and, where `beyond_is_bad`, for a page past the last.
    """
    page = whole(query, "page", 1, 10**9) or 1
    limit = whole(query, "limit", 1, 1000) or 20
    last = max(1, -(-len(items) // limit))
    if page > last and beyond_is_bad:
        raise bad("page")
    return {"total": len(items), "previous": min(page - 1, last), "next": page + 1 if page < last else 0,
            "list": items[(page - 1) * limit:page * limit]}
