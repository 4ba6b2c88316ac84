"""The chain of a row's trail: every line's hash covers the line before it, and the row carries the last one. Pure.

There is one chain for each row, as long as the row's fence says, so that writers of different rows never wait for each
other. Whoever changes a row or a line afterwards would have to change every later line and the row as well; that is
what `paygate ledger check` looks for. A row taken away with all its lines is noticed by a seal (audit.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from attrs import fields

from .row import Line, Note, Row

_FLOATS = frozenset({"opened_at", "lease_until", "sent_at", "check_at", "missed_at", "due_at"})
PLAIN = tuple(f.name for f in fields(Row) if f.name not in ("money", "hash"))
"""The attributes of a row that are columns as they stand."""

_NAMES = tuple(f.name for f in fields(Row))
_ALL = attrgetter(*_NAMES)
_SAID = sorted((*PLAIN, "amount", "currency"))
_CANONICAL = json.JSONEncoder(separators=(",", ":"))


def altered(row: Row, **changes: Any) -> Row:
    """`row` with some attributes replaced: what attrs.evolve does, in a third of the time."""
    return Row(**{**dict(zip(_NAMES, _ALL(row), strict=True)), **changes})


def content(row: Row) -> str:
    """Hash of all that a row says: SHA-256 of a JSON array of its attributes, sorted by name.

    What it does not say (null) is left out, so that an attribute added one day changes no older row's hash.
    """
    return _content(dict(zip(_NAMES, _ALL(row), strict=True)))


def _content(row: Mapping[str, Any]) -> str:
    money = row["money"]
    said = row if money is None else {**row, "amount": money.amount, "currency": money.currency}
    return _hash([[name, float(value) if name in _FLOATS else value] for name in _SAID
                  if (value := said.get(name)) is not None])


def link(previous: str, line: Line) -> str:
    """The hash of `line` after the one whose hash is `previous`: of the JSON array of these, in this order."""
    return _linked(previous, line.gateway, line.book, line.id, line.fence, float(line.at), line.by, line.state,
                   line.note, line.content, line.salt)


def _linked(*said: Any) -> str:
    return _hash(list(said))


def begun(row: Row, note: Note) -> tuple[Row, Line]:
    """A new row as it is stored, and the first line of its trail."""
    return _written(row, 0, "", note)


def moved(row: Row, note: Note) -> tuple[Row, Line]:
    """A changed row as it is stored, and the next line of its trail. `row` has the fence and hash it was read with."""
    return _written(row, row.fence + 1, row.hash, note)


def _written(row: Row, fence: int, previous: str, note: Note) -> tuple[Row, Line]:
    said = dict(zip(_NAMES, _ALL(row), strict=True))
    said["fence"], book = fence, row.book
    content = _content(said)
    said["hash"] = _linked(previous, row.gateway, book, row.id, fence, float(note.at), note.by, row.state, note.text,
                           content, note.salt)
    return Row(**said), Line(at=note.at, by=note.by, gateway=row.gateway, book=book, id=row.id, fence=fence,
                             state=row.state, note=note.text, content=content, salt=note.salt,
                             hash=said["hash"])


def _hash(said: list[Any]) -> str:
    return hashlib.sha256(_CANONICAL.encode(said).encode("ascii")).hexdigest()
