"""What a client sent, read strictly: what is not as specified becomes a refusal, never an exception."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from attrs import frozen

from paygate.codec import Unreadable, read_json
from paygate.money import EXPONENT, LIMIT, Money
from paygate.testing.emulator import Call

from . import times

INT32 = 2**31 - 1
INT64 = 2**63 - 1
BODY_LIMIT = 1 << 20
_DIGITS = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,6})?")


class Rejected(Exception):
    """StepPay answers with `status` and the error body. The codes are this emulator's: no catalogue is published."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def wrong(message: str, code: str = "INVALID_PARAMETER") -> Rejected:
    """400: the request, or what it asks for, is not valid."""
    return Rejected(400, code, message)


def unknown(what: str) -> Rejected:
    """404: no such thing."""
    return Rejected(404, f"{what.upper().replace(' ', '_')}_NOT_FOUND", f"{what} not found")


class Fields:
    """A JSON object, read field by field. A null counts as absent."""

    def __init__(self, value: Any, hours: int, where: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong(f"{where or 'the body'} must be an object")
        self.raw: dict[str, Any] = {k: v for k, v in value.items() if v is not None}
        self._hours = hours
        self._where = f"{where}." if where else ""

    def _need(self, name: str) -> Any:
        if name not in self.raw:
            raise wrong(f"{self._where}{name} is required")
        return self.raw[name]

    def has(self, name: str) -> bool:
        return name in self.raw

    def text(self, name: str, limit: int = 1000) -> str:
        value = self._need(name)
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise wrong(f"{self._where}{name} must be text of 1 to {limit} characters")
        return value

    def text_or(self, name: str, default: str, limit: int = 10_000) -> str:
        return default if self.raw.get(name, "") == "" else self.text(name, limit)

    def maybe_text(self, name: str, limit: int = 10_000) -> str | None:
        return self.text_or(name, "", limit) or None

    def word(self, name: str, words: Iterable[str], default: str | None = None) -> str:
        value = default if default is not None and name not in self.raw else self._need(name)
        if not isinstance(value, str) or value not in words:
            raise wrong(f"{self._where}{name} is not one of its values")
        return value

    def maybe_word(self, name: str, words: Iterable[str]) -> str | None:
        return self.word(name, words) if name in self.raw else None

    def whole(self, name: str, least: int, most: int = INT32, default: int | None = None, *,
              loose: bool = False) -> int:
        """A whole number; `loose` takes it in quotes as well, as the guide's samples write it."""
        if default is not None and name not in self.raw:
            return default
        number = _number(self._need(name), loose)
        if number is None or number != number.to_integral_value() or not least <= number <= most:
            raise wrong(f"{self._where}{name} must be a whole number from {least} to {most}")
        return int(number)

    def amount(self, name: str, default: Decimal | None = None, *, loose: bool = False) -> Decimal:
        """A number from 0 to the largest amount, exactly as written."""
        if default is not None and name not in self.raw:
            return default
        number = _number(self._need(name), loose)
        if number is None or not 0 <= number <= LIMIT:
            raise wrong(f"{self._where}{name} must be a number from 0 to {LIMIT}")
        return number

    def money(self, name: str, currency: str, default: Decimal | None = None) -> Money:
        """An amount that fits the currency's decimals. Quoted numbers are taken: the guide's samples quote them."""
        return money(self.amount(name, default, loose=True), currency, f"{self._where}{name}")

    def currency(self, name: str = "currency") -> str:
        return self.word(name, EXPONENT, "KRW")

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.raw.get(name, default)
        if not isinstance(value, bool):
            raise wrong(f"{self._where}{name} must be true or false")
        return value

    def moment(self, name: str) -> datetime:
        try:
            return times.read(self.text(name, 40), self._hours)
        except ValueError:
            raise wrong(f"{self._where}{name} must be an ISO 8601 time") from None

    def maybe_moment(self, name: str) -> datetime | None:
        return self.moment(name) if name in self.raw else None

    def fields(self, name: str) -> Fields:
        return Fields(self._need(name), self._hours, f"{self._where}{name}")

    def maybe_fields(self, name: str) -> Fields | None:
        return self.fields(name) if name in self.raw else None

    def every(self, name: str, least: int = 0) -> list[Fields]:
        values = self.raw.get(name, [])
        if not isinstance(values, list) or not least <= len(values) <= 100:
            raise wrong(f"{self._where}{name} must be a list of {least} to 100 objects")
        return [Fields(v, self._hours, f"{self._where}{name}") for v in values]

    def numbers(self, name: str) -> list[int]:
        values = self.raw.get(name, [])
        if not isinstance(values, list) or not all(type(v) is int and 0 <= v <= INT64 for v in values):
            raise wrong(f"{self._where}{name} must be a list of ids")
        return values

    def texts(self, name: str) -> list[str]:
        values = self.raw.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise wrong(f"{self._where}{name} must be a list of text")
        return values

    def map_of_text(self, name: str) -> dict[str, str]:
        values = self.raw.get(name, {})
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise wrong(f"{self._where}{name} must map text to text")
        return values


def money(number: Decimal, currency: str, name: str) -> Money:
    """Major units as Money, or a refusal."""
    try:
        return Money.parse(number, currency)
    except ValueError:
        raise wrong(f"{name} is not an amount of {currency}") from None


def _number(value: Any, loose: bool) -> Decimal | None:
    if loose and isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return Decimal(value) if type(value) in (int, Decimal) else None


def whole_text(value: Any) -> Any:
    """The JSON value as it is, all of whose text can be written again.

    Raises: Rejected for half a character or NUL.
    """
    if not _is_whole_text(value):
        raise wrong("text holds half a character or NUL", "MALFORMED_JSON")
    return value


def _is_whole_text(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_whole_text(k) and _is_whole_text(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_is_whole_text(v) for v in value)
    return not isinstance(value, str) or not any("\ud800" <= c <= "\udfff" or c == "\0" for c in value)


@frozen
class Ask:
    """A request that found its handler: what stood in the path's places, and the query."""

    call: Call
    places: tuple[str, ...]
    query: Mapping[str, str]
    hours: int

    def number(self, index: int) -> int:
        """An int64 id in the path."""
        if not _DIGITS.fullmatch(self.places[index]):
            raise wrong("an id in the path must be a number")
        return int(self.places[index])

    def json(self) -> Any:
        kind = self.call.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise Rejected(415, "UNSUPPORTED_MEDIA_TYPE", "the body must be JSON")
        if len(self.call.body) > BODY_LIMIT:
            raise Rejected(413, "PAYLOAD_TOO_LARGE", "the body is too large")
        try:
            value = read_json(self.call.body)
        except Unreadable:
            raise wrong("the body is not JSON", "MALFORMED_JSON") from None
        return whole_text(value)

    def fields(self) -> Fields:
        return Fields(self.json(), self.hours)


def read_query(text: str) -> dict[str, str]:
    """A query's first value of each name."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise wrong("the query has too many fields") from None
    return dict(reversed(pairs))
