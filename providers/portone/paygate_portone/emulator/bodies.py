"""What arrives: JSON, form and query decoded into plain fields, and fields read as text, money and instants.

Whatever cannot be read is a `Refusal`; nothing else is raised.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, DecimalException
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from attrs import field, frozen

from paygate.errors import BadCommand
from paygate.money import EXPONENT, Money
from paygate.text import is_clean

from .words import bad, missing

Fields = dict[str, Any]

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\]){1,5})")
LAST_SECOND = 253_402_214_400  # the last day of the year 9999: past it no calendar date exists


@frozen
class Asked:
    """One call, taken apart. `ids` are the path's parameters in order."""

    ids: tuple[str, ...] = ()
    query: Fields = field(factory=dict)
    body: Fields = field(factory=dict)
    authorization: str = ""


def read_query(text: str) -> Fields:
    """`a=1&b[]=2&c[d]=3` as {"a": "1", "b": ["2"], "c": {"d": "3"}}; a repeated plain name becomes a list.

    Raises: Refusal.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace", max_num_fields=5000)
    except ValueError:
        raise bad("too many fields") from None
    root: Fields = {}
    for spaced, value in pairs:
        name = spaced.lstrip(" ")  # a client writes `a=1& b=2`, and PHP servers take that for b
        nested = _KEY.fullmatch(name)
        if nested:
            _put(root, [nested[1], *re.findall(r"\[([^\[\]]*)\]", nested[2])], value)
        elif name not in root:
            root[name] = value
        elif isinstance(root[name], dict):
            raise bad("a name holds both a value and fields")
        else:
            root[name] = [*_as_list(root[name]), value]
    return {name: _lists(value) for name, value in root.items()}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _put(place: Fields, names: list[str], value: str) -> None:
    for at, name in enumerate(names[:-1]):
        if name == "":
            # `a[][x]=1&a[][y]=2` is one element until x comes again.
            last = str(max(len(place) - 1, 0))
            again = isinstance(place.get(last), dict) and names[at + 1] in place[last] and names[at + 1] != ""
            name = str(len(place)) if again else last
        inner = place.setdefault(name, {})
        if isinstance(inner, str):
            inner = place[name] = {"0": inner}
        elif isinstance(inner, list):
            inner = place[name] = {str(i): v for i, v in enumerate(inner)}
        place = inner
    place[names[-1] or str(len(place))] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {k: _lists(v) for k, v in value.items()}
    if inner and all(k.isascii() and k.isdigit() and len(k) < 6 for k in inner):
        return [inner[k] for k in sorted(inner, key=int)]
    return inner


def read_body(content_type: str, body: bytes) -> Fields:
    """A JSON object or a form. A missing or odd content type is guessed from the first character.

    Raises: Refusal.
    """
    start = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not start:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded" or ("json" not in kind and start[:1] not in (b"{", b"[")):
        try:
            return read_query(start.decode("utf-8"))
        except UnicodeDecodeError:
            raise bad("the body is not UTF-8") from None
    try:
        value = json.loads(start.decode("utf-8"), parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, DecimalException):
        raise bad("the body is not JSON") from None
    if not isinstance(value, dict):
        raise bad("the body is not an object")
    return value


def _decimal(digits: str) -> Decimal:
    if len(digits) > 60:
        raise ValueError("too long a number")
    return Decimal(digits)


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a number")


def text(fields: Fields, name: str, limit: int) -> str | None:
    """A descriptive text, cut at `limit`; null and absent are None."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise bad(name)
    return value[:limit] if isinstance(value, str) else str(value)[:limit]


def identity(fields: Fields, name: str, limit: int) -> str | None:
    """An id: never cut, free of control and half characters. Empty and absent are None."""
    value = text(fields, name, limit + 1)
    if not value:
        return None
    return clean_id(value, name, limit)


def clean_id(value: str, name: str, limit: int) -> str:
    if len(value) > limit or not is_clean(value) or "\ufffd" in value:
        raise bad(name)
    return value


def required(fields: Fields, name: str, limit: int) -> str:
    """An id that must be there."""
    value = identity(fields, name, limit)
    if value is None:
        raise missing(name)
    return value


def identities(fields: Fields, name: str, limit: int) -> list[str]:
    """One id or a list of them, under `name` or `name[]`, without repeats."""
    values = [v for key in (name, f"{name}[]") for v in _as_list(fields.get(key)) if v is not None and v != ""]
    return list(dict.fromkeys(required({name: v}, name, limit) for v in values))


def currency_of(fields: Fields) -> str:
    value = text(fields, "currency", 20) or "KRW"
    if value not in EXPONENT:
        raise bad("currency")
    return value


def money(fields: Fields, name: str, currency: str) -> Money | None:
    """An amount in major units: a number, or a number written as text; null, empty and absent are None."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise bad(name)
    if isinstance(value, float):  # from a control, where the caller's JSON was read by another reader
        value = Decimal(repr(value))
    try:
        return Money.parse(value, currency)
    except BadCommand:
        raise bad(name) from None


def whole(fields: Fields, name: str, least: int = 0, most: int = LAST_SECOND) -> int | None:
    """An integer, or one written as text; null, empty and absent are None."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise bad(name)
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise bad(name)
    number = Decimal(value)
    if not least <= number <= most or number != int(number):
        raise bad(name)
    return int(number)


def truth(fields: Fields, name: str) -> bool:
    """A boolean, also as `true` or `1`."""
    value = fields.get(name)
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", ""):
        return value.lower() in ("true", "1")
    raise bad(name)


def section(fields: Fields, name: str) -> Fields:
    """A nested object; absent, null and an empty list (how PHP writes an empty object) are empty."""
    value = fields.get(name)
    if value is None or value == [] or value == "":
        return {}
    if not isinstance(value, dict):
        raise bad(name)
    return value
