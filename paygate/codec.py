"""The door to cattrs and json: PG answers in, ledger text in and out, settings from a mapping.

JSON from a PG is read strictly: no duplicate keys, no NaN or Infinity, bounded depth and number size, half characters
replaced, no floats (numbers with a point become Decimal). Anything else raises `Unreadable`, and nothing but that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from .errors import BadSettings
from .ledger.row import Damaged
from .secret import Secret
from .text import is_clean
from .wire import Response

T = TypeVar("T")

DEPTH_LIMIT = 32
DIGIT_LIMIT = 18


class Unreadable(ValueError):
    """An answer that is not the JSON it should be. It says nothing about money."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("an object names a key twice")
    return made


def _constant(_: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are not numbers")


def _integer(digits: str) -> int:
    if len(digits) > DIGIT_LIMIT + 1:
        raise Unreadable("a number has too many digits")
    return int(digits)


def _decimal(digits: str) -> Decimal:
    try:
        value = Decimal(digits)
    except InvalidOperation:  # An exponent of twenty digits; no ValueError.
        raise Unreadable("a number is out of range") from None
    if len(digits) > 40 or not -DIGIT_LIMIT <= value.adjusted() <= DIGIT_LIMIT:
        raise Unreadable("a number is out of range")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer,
                            parse_float=_decimal)
# A text that is never closed reaches to the end: trying again from each quote in it would take time squared.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)

_HALVES = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
                     r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})")
"""In JSON text: an escaped backslash, an escaped pair of surrogates, or (1) one without its other half."""


def _mended(text: str) -> str:
    """Half characters become U+FFFD: PGs cut names in the middle, and a record must not become unreadable by that."""
    return _HALVES.sub(lambda m: r"\ufffd" if m[1] else m[0], text) if "\\ud" in text.lower() else text


def _depth(text: str) -> int:
    deepest = level = 0
    for c in _STRUCTURE.findall(text):
        if c in "[{":
            level += 1
            deepest = max(deepest, level)
        elif c in "]}":
            level -= 1
    return deepest


def read_json(body: bytes) -> Any:
    """Decode UTF-8 JSON strictly.

    Raises: Unreadable.
    """
    try:
        text = body.decode("utf-8")
        # Cheap bound first: a text with no more brackets than the limit cannot be too deep.
        if text.count("[") + text.count("{") > DEPTH_LIMIT and _depth(text) > DEPTH_LIMIT:
            raise Unreadable("the answer is nested too deeply")
        return _DECODER.decode(_mended(text))
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the answer is not JSON ({type(error).__name__})") from None


def read_object(response: Response) -> dict[str, Any]:
    """The JSON object a response carries.

    Raises: Unreadable, also for a content type that is not JSON.
    """
    kind = response.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Unreadable("the answer is not JSON by its content type")
    value = read_json(response.body)
    if not isinstance(value, dict):
        raise Unreadable("the answer is not a JSON object")
    return value


def write_json(value: Any) -> bytes:
    """Encode a request body: UTF-8, compact, Secrets revealed here and only here, Decimals refused."""
    return _BODY.encode(value).encode("utf-8")


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} is not sent as JSON")


_BODY = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_reveal)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@cache
def _converter() -> Any:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_unstructure_hook(Secret, _refuse_secret)
    converter.register_structure_hook(Secret, lambda text, _: Secret(text))
    converter.register_structure_hook(bool, _strict(bool))
    return converter


def _refuse_secret(_: Secret) -> None:
    """A Secret is never written down: it becomes null."""
    return None


def _strict(kind: type) -> Any:
    def check(value: object, _: object) -> object:
        if type(value) is not kind:
            raise TypeError(f"must be {kind.__name__}")
        return value
    return check


def dump(value: Any) -> str:
    """A result as ledger text. Secrets in it become null: they are never written."""
    return _COMPACT.encode(_converter().unstructure(value))


def dump_whole(value: Any) -> Secret:
    """A value with its secrets, for a vault and for nothing else."""
    return Secret(_COMPACT.encode(_whole().unstructure(value)))


@cache
def _whole() -> Any:
    converter = _converter().copy()
    converter.register_unstructure_hook(Secret, Secret.reveal)
    return converter


def load(text: str, kind: type[T]) -> T:
    """A result from ledger text.

    Raises: Damaged.
    """
    try:
        made: T = _quick().structure(json.loads(text), kind)
    except Exception:
        # Whatever it is: this library wrote the text, so somebody else has changed it since.
        damaged = Damaged(f"the {kind.__name__} that a row holds cannot be read, as somebody has changed it")
    else:
        return made
    raise damaged  # Outside of the handler: what cannot be read may hold a payer's data.


@cache
def _quick() -> Any:
    """For what this library wrote itself: as strict, without collecting every fault before the first is told."""
    return _converter().copy(detailed_validation=False)


def settings_from(kind: type[T], values: Mapping[str, Any], provider: str) -> T:
    """Make a provider's settings object.

    Raises: BadSettings naming the fields at fault, never their values.
    """
    import attrs
    from cattrs import transform_error

    if not isinstance(values, Mapping):
        raise BadSettings(f"settings of {provider}: a mapping of names to values is needed; nothing was sent")
    known = [f.name for f in attrs.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise BadSettings(f"{provider} has no setting {', '.join(unknown)} (it has {', '.join(known)}); "
                          "nothing was sent")
    try:
        made: T = _converter().structure(dict(values), kind)
    except BadSettings:
        raise
    except Exception as error:
        if (refused := _refusal_in(error)) is not None:
            raise refused from None
        lacking = [f.name for f in attrs.fields(kind)  # type: ignore[arg-type]
                   if f.default is attrs.NOTHING and f.name not in values]
        wrong = _faults(error) or _without_values(transform_error(error))
        faults = f"lacks {', '.join(lacking)}" if lacking else "; ".join(wrong)
        raise BadSettings(f"settings of {provider}: {faults}; nothing was sent") from None
    for field in attrs.fields(kind):  # type: ignore[arg-type]
        if not _can_travel(getattr(made, field.name)):
            raise BadSettings(f"settings of {provider}: {field.name} is empty, or was copied with a space or line "
                              "break around it; nothing was sent")
    return made


def _can_travel(value: Any) -> bool:
    """False for a secret that no header could carry as it is: found at start-up, not at the first payer."""
    if isinstance(value, tuple):
        return all(map(_can_travel, value))
    if not isinstance(value, Secret):
        return True
    text = value.reveal()
    return bool(text) and text == text.strip() and is_clean(text)


def _refusal_in(error: BaseException) -> BadSettings | None:
    """The settings class's own words, where cattrs has wrapped them."""
    if isinstance(error, BadSettings):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for e in inner if (found := _refusal_in(e)) is not None), None)


def _faults(error: BaseException) -> list[str]:
    """What each field must be, where cattrs says which one is at fault."""
    from cattrs import ClassValidationError

    if not isinstance(error, ClassValidationError):
        return []
    at_fault, others = error.group_exceptions()
    if others:
        return []
    return [f"{note.name} must be {_wanted(note.type)}" for _, note in at_fault]


def _wanted(kind: Any) -> str:
    """What may stand in a setting of that type, in a merchant's words."""
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_wanted(part) for part in get_args(kind))
    plain = {bool: "true or false", str: "text", Secret: "text", int: "a whole number", type(None): "nothing"}
    return plain.get(kind, getattr(kind, "__name__", "of another type"))


def _without_values(faults: list[str]) -> list[str]:
    return [fault.split(" (", 1)[0][:120] for fault in faults]
