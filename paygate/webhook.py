"""The body of a webhook, and single texts of what a browser or a PG brought, read strictly for any provider.

Nothing here is believed: a provider turns it into a Hint. Whatever could not have come from a PG is Forged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from .codec import Unreadable, read_json
from .errors import Forged
from .text import is_clean

BODY_LIMIT = 64 * 1024


def webhook_fields(headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    """The fields of a webhook, a JSON object or a form as its content type says: at most 64 KiB, no key twice.

    Raises: Forged.
    """
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    match kind.partition(";")[0].strip().lower():
        case "application/json":
            return json_fields(body)
        case "application/x-www-form-urlencoded":
            return _form_fields(body)
    raise Forged("a webhook that is neither JSON nor a form; nothing was changed")


def json_fields(body: bytes) -> Mapping[str, Any]:
    """The fields of a webhook that is a JSON object, whatever it calls itself: at most 64 KiB, no key twice.

    Raises: Forged.
    """
    check_size(body)
    try:
        given = read_json(body)
    except Unreadable:
        raise Forged("a webhook that is not JSON; nothing was changed") from None
    if not isinstance(given, dict):
        raise Forged("a webhook that is not a JSON object; nothing was changed")
    return given


def _form_fields(body: bytes) -> Mapping[str, Any]:
    check_size(body)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict",
                          max_num_fields=50)
    except ValueError:
        raise Forged("a webhook that is not a form; nothing was changed") from None
    if len(dict(pairs)) != len(pairs):
        raise Forged("a webhook that names a key twice; nothing was changed")
    return dict(pairs)


def check_size(body: bytes) -> None:
    """Refuse a webhook of more than 64 KiB.

    Raises: Forged.
    """
    if len(body) > BODY_LIMIT:
        raise Forged("a webhook of more than 64 KiB; nothing was changed")


def clean_text(given: Mapping[str, Any], name: str, limit: int, *, none: Collection[str] = ("",)) -> str | None:
    """The text called `name`, at most `limit` clean characters; None where it is missing, null or one of `none`.

    Raises: Forged for anything else.
    """
    value = given.get(name)
    if value is None or (isinstance(value, str) and value in none):
        return None
    if not isinstance(value, str) or len(value) > limit or not is_clean(value):
        raise Forged(f"{name} is not what the PG sends; nothing was changed")
    return value
