"""The chain of a row's trail: every line's hash covers the line before it, and the row carries the last one. Pure.

There is one chain for each row, as long as the row's fence says, so that writers of different rows never wait for each
other. Whoever changes a row or a line afterwards would have to change every later line and the row as well; that is
what `paygate ledger check` looks for. A row taken away with all its lines is noticed by a seal (audit.py).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attrs import evolve, fields

from .row import Line, Note, Row

_FLOATS = frozenset({"opened_at", "lease_until", "sent_at", "check_at", "missed_at", "due_at"})
PLAIN = tuple(f.name for f in fields(Row) if f.name not in ("money", "hash"))
"""The attributes of a row that are columns as they stand."""


def content(row: Row) -> str:
    """Hash of all that a row says: SHA-256 of a JSON array of its attributes, sorted by name.

    What it does not say (null) is left out, so that an attribute added one day changes no older row's hash.
    """
    said: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    if row.money is not None:
        said |= {"amount": row.money.amount, "currency": row.money.currency}
    return _hash([[name, float(value) if name in _FLOATS else value] for name, value in sorted(said.items())
                  if value is not None])


def link(previous: str, line: Line) -> str:
    """The hash of `line` after the one whose hash is `previous`: of the JSON array of these, in this order."""
    return _hash([previous, line.gateway, line.book, line.id, line.fence, float(line.at), line.by, line.state,
                  line.note, line.content, line.salt])


def begun(row: Row, note: Note) -> tuple[Row, Line]:
    """A new row as it is stored, and the first line of its trail."""
    return _written(evolve(row, fence=0), "", note)


def moved(row: Row, note: Note) -> tuple[Row, Line]:
    """A changed row as it is stored, and the next line of its trail. `row` has the fence and hash it was read with."""
    return _written(evolve(row, fence=row.fence + 1), row.hash, note)


def _written(row: Row, previous: str, note: Note) -> tuple[Row, Line]:
    line = Line(at=note.at, by=note.by, gateway=row.gateway, book=row.book, id=row.id, fence=row.fence, state=row.state,
                note=note.text, content=content(row), salt=note.salt, hash="")
    line = evolve(line, hash=link(previous, line))
    return evolve(row, hash=line.hash), line


def _hash(said: list[Any]) -> str:
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode("ascii")).hexdigest()
