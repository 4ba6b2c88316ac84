"""What went over the wire, as it may be shown: known secret values are replaced wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import attrs

from ..sandbox.station import Seen, Station
from ..secret import Secret
from ..testing.story import Story

_SHOWN = ("mode", "test", "live")


class WireView:
    """The calls an emulated PG has seen since the last look, redacted."""

    def __init__(self, station: Station, settings: Mapping[str, Any], story: Story) -> None:
        self._station = station
        self._seen = 0
        self._hidden = {v for v in settings.values() if isinstance(v, str) and v not in _SHOWN and len(v) > 3}
        for command in (story.pay, story.register):
            if command is not None:
                self._hidden |= {s.reveal() for s in _secrets(command.customer)}

    def hide(self, text: str) -> None:
        """Replace `text` from now on."""
        self._hidden.add(text)

    def redact(self, text: str) -> str:
        """`text` with every hidden value replaced."""
        for value in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def news(self) -> Iterator[str]:
        """One line for each call since the last time."""
        calls = list(self._station.calls)[self._seen:]
        self._seen += len(calls)
        for seen in calls:
            yield self.redact(_line(seen, self._hidden))


def _line(seen: Seen, hidden: set[str]) -> str:
    call = seen.call
    end = f"{seen.status}" if seen.broken is None else f"no answer ({seen.broken})"
    body = ""
    if call.body:
        try:
            body = " " + json.dumps(_masked(json.loads(call.body), hidden), ensure_ascii=False)
        except ValueError:
            body = f" ({len(call.body)} bytes)"
    return f"→ {call.method} {unquote(call.target)}{body} → {end}"


def _masked(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, dict):
        return {k: _masked(v, hidden) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v, hidden) for v in value]
    return "***" if isinstance(value, str) and value in hidden else value


def _secrets(customer: Any) -> list[Secret]:
    return [v for f in attrs.fields(type(customer)) if isinstance(v := getattr(customer, f.name), Secret)]
