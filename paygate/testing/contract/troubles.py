"""What can go wrong with one call, by name: the emulator's faults, and answers that no PG of that kind would give.

Each says whether the PG acted, and whether it is a complete answer such as this PG gives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from attrs import evolve, frozen

from ...wire import Response
from ..emulator import Answer, Broken, Call, Emulator, FaultKind

if TYPE_CHECKING:
    from .wire import Wire

Acts = Literal["no", "yes", "later"]


@frozen(kw_only=True)
class Trouble:
    """`acts`: whether the PG does what it was asked."""

    name: str
    acts: Acts
    meet: Callable[[Wire, Call], Answer]
    is_answer: bool = False
    """Whether it is a complete answer in the PG's own form, true or not."""
    is_refused: bool = False
    is_unprocessed: bool = False
    """Whether the core may send again: nothing can have arrived, or the PG says that it did not begin."""


def _fault(kind: FaultKind) -> Trouble:
    word = kind.value
    acts: Acts = "later" if kind is FaultKind.LATE else "no" if (
        word.endswith("_before") or kind in (FaultKind.REFUSE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY)) else "yes"
    unprocessed = kind in (FaultKind.REFUSE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY)

    def meet(wire: Wire, call: Call) -> Answer:
        wire.emulator.clock.run_due()
        return Emulator._faulty(wire.emulator, kind, call)

    return Trouble(name=word, acts=acts, meet=meet, is_refused=kind is FaultKind.REFUSE, is_unprocessed=unprocessed,
                   is_answer=unprocessed or kind in (FaultKind.LIE_FAILED, FaultKind.WRONG_ORDER,
                                                     FaultKind.WRONG_AMOUNT))


def instead(name: str, change: Callable[[Response], Answer], *, acts: Acts = "yes") -> Trouble:
    """Trouble that gives `change(truth)` instead of the PG's answer; where the PG does not act, `truth` is bare."""
    def meet(wire: Wire, call: Call) -> Answer:
        truth = wire.truth(call) if acts == "yes" else Response(200, {"content-type": "application/json"}, b"{}")
        return truth if isinstance(truth, Broken) else change(truth)

    return Trouble(name=name, acts=acts, meet=meet)


def _page(status: int, kind: str = "text/html; charset=utf-8", body: bytes = b"<html><body>busy</body></html>"
          ) -> Callable[[Response], Answer]:
    return lambda truth: Response(status, {"content-type": kind}, body)


def _json(body: bytes) -> Callable[[Response], Answer]:
    return lambda truth: Response(200, {"content-type": "application/json"}, body)


def _as_page(truth: Response) -> Answer:
    return evolve(truth, headers={**truth.headers, "content-type": "text/html"})


def _cut(truth: Response) -> Answer:
    return evolve(truth, body=truth.body[:-1])


def _late_by(seconds: float) -> Trouble:
    def meet(wire: Wire, call: Call) -> Answer:
        emulator = wire.emulator
        emulator.clock.at(emulator.clock.now() + timedelta(seconds=seconds), lambda: _act(emulator, call))
        return Response(504, {"content-type": "text/html"}, b"<html>gateway time-out</html>")

    return Trouble(name="gateway_timeout_then_done", acts="later", meet=meet)


def _act(emulator: Emulator, call: Call) -> None:
    emulator.answer(call)


_STRANGE = (202, 204, 301, 302, 303, 308, 400, 402, 403, 404, 405, 408, 409, 410, 413, 422, 425, 451, 500, 501, 502,
            503, 504, 520, 524)
"""Statuses with a page of HTML: some machine between us and the PG, which proves nothing."""
TELLING = frozenset({f"status_{status}_page_{when}" for status in (202, 302, 400, 403, 404, 409, 500, 502, 504)
                     for when in ("after", "before")})
"""Enough of them where the core is asked what it makes of a doubt, and not the provider what it makes of a page."""

FAULTS: tuple[Trouble, ...] = tuple(_fault(kind) for kind in FaultKind)
"""The emulators' own faults."""

STRANGE: tuple[Trouble, ...] = (
    *(instead(f"status_{status}_page_after", _page(status)) for status in _STRANGE),
    *(instead(f"status_{status}_page_before", _page(status), acts="no") for status in _STRANGE),
    instead("null_after", _json(b"null")),
    instead("list_after", _json(b"[]")),
    instead("empty_object_after", _json(b"{}")),
    instead("text_after", _json(b'"ok"')),
    instead("true_after", _json(b"true")),
    instead("null_before", _json(b"null"), acts="no"),
    instead("list_before", _json(b"[]"), acts="no"),
    instead("empty_object_before", _json(b"{}"), acts="no"),
    instead("plain_ok_before", _page(200, "text/plain", b"OK"), acts="no"),
    instead("plain_ok_after", _page(200, "text/plain", b"OK")),
    instead("last_byte_missing_after", _cut),
    instead("truth_as_html_after", _as_page),
    instead("long_number_after", _json(b'{"amount": ' + b"9" * 5_000 + b"}")),
    _late_by(45.0),
)
"""Beside them: what proxies, load balancers and broken servers answer."""

BRIEF = frozenset({"drop_before", "error_500_before", "html_before", "empty_after", "unauthorized", "lie_failed",
                   "wrong_order", "wrong_amount", "status_404_page_before", "truth_as_html_after"})
"""Enough for a request that asks for nothing to be done."""

MAIN = ("refuse", "drop_before", "drop_after", "hang_after", "error_500_after", "bad_gateway_after", "html_after",
        "unauthorized", "too_many", "lie_failed", "wrong_amount", "late")
"""The faults that matter, for what is an act like another one."""

DEAF = _fault(FaultKind.HANG_BEFORE)
"""The PG cannot be asked."""

CASES: dict[str, tuple[Trouble, ...]] = {
    **{trouble.name: (trouble,) for trouble in FAULTS},
    "strange_pages_after": tuple(t for t in STRANGE if t.name.endswith("_page_after")),
    "strange_pages_before": tuple(t for t in STRANGE if t.name.endswith("_page_before")),
    "strange_bodies": tuple(t for t in STRANGE if not t.name.endswith(("_page_before", "_page_after"))),
}
"""Name of a case → the troubles in it. The emulators' faults have a case each."""
