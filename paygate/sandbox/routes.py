"""What the sandbox's control API can be asked: one function for each route, and the table of them.

Each function is called with the sandbox's lock held and with what was sent; it returns JSON or raises `Wrong`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from attrs import frozen

from ..money import Money
from ..secret import Secret, reveal_all
from ..testing.emulator import Fault, FaultKind
from . import showing
from .kinds import ABOUT
from .openapi import ADVANCE_LIMIT_S, PATTERN_LIMIT, TIMES_LIMIT, document
from .server import error_response, log
from .snippet import PAY, connect_call, imports

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .station import Station

BANNER = "sandbox: no real money"
_END_OF_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""Emulators do sums with the clock's instants; this leaves them room."""


class Wrong(Exception):
    """A request that cannot be fulfilled, and the status that says so."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(why)
        self.response = error_response(status, why, **headers)


@frozen(kw_only=True)
class Asked:
    """What a route's function gets: the sandbox, the path's parameters, the JSON object sent."""

    box: Sandbox
    names: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def station(self) -> Station:
        station = self.box.stations.get(self.names["name"])
        if station is None:
            raise Wrong(404, f"no such gateway here; there are: {', '.join(self.box.stations)}")
        return station


@frozen
class Route:
    """A method and path, the function that acts, and the names of its schemas in the OpenAPI document."""

    method: str
    template: str
    act: Callable[[Asked], Any]
    about: str
    answer: str
    body: str | None = None
    status: int = 200

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parameters where `path` is this route's."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch(pattern, path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


def index(asked: Asked) -> dict[str, Any]:
    return {"banner": BANNER, "gateways": {name: asked.box.url(name) for name in asked.box.stations},
            "endpoints": [f"{route.method} {route.template}: {route.about}" for route in ROUTES]}


def openapi(asked: Asked) -> dict[str, Any]:
    return document(ROUTES, asked.box.control_url)


def list_gateways(asked: Asked) -> dict[str, Any]:
    return {"gateways": [_connecting(asked.box, name) for name in asked.box.stations]}


def _connecting(box: Sandbox, name: str) -> dict[str, Any]:
    station, settings = box.stations[name], _plain(box.settings(name))
    emulator, built_in = station.emulator, station.built_in
    return {"name": name, "url": box.url(name), "settings": settings,
            "connect": f"{imports(built_in=built_in)}\ngate = "
                       f"{connect_call(name, settings, box.url(name), built_in=built_in)}\n",
            "pay": PAY, "decline_reasons": list(emulator.decline_reasons),
            "endpoints": [{"name": e, "on": _pattern(e)} for e in emulator.endpoints]}


def _pattern(endpoint: str) -> str:
    """The regular expression for a fault at that "METHOD /path"."""
    text = re.escape(endpoint).replace(re.escape("{}"), "[^/]+").replace("\\ ", " ").replace("\\-", "-")
    return f"^{text}$"


def show_overview(asked: Asked) -> dict[str, Any]:
    return showing.overview(asked.box)


def show_journal(asked: Asked) -> dict[str, Any]:
    return {"journal": [{"at": m.at.isoformat(), "order_id": m.order_id, "provider_id": m.provider_id,
                         "amount": m.money.amount, "currency": m.money.currency, "kind": m.kind}
                        for m in asked.station.emulator.journal.entries]}


def show_calls(asked: Asked) -> dict[str, Any]:
    return {"calls": asked.station.shown_calls()}


def show_hooks(asked: Asked) -> dict[str, Any]:
    return {"hooks": showing.hooks(asked.station)}


def show_hook(asked: Asked) -> dict[str, Any]:
    number = _hook_number(asked)
    return showing.hook(number, asked.station.emulator.hooks[number])


def _hook_number(asked: Asked) -> int:
    number = asked.names["n"]
    if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) >= len(asked.station.emulator.hooks):
        raise Wrong(404, "no such webhook")
    return int(number)


def redeliver_hook(asked: Asked) -> Awaitable[dict[str, Any]]:
    station, number = asked.station, _hook_number(asked)

    async def deliver() -> dict[str, Any]:
        return showing.delivery(await station.courier.redeliver(number))

    return deliver()


def list_faults(asked: Asked) -> dict[str, Any]:
    return {"faults": showing.faults(asked.station.emulator.faults)}


def add_fault(asked: Asked) -> dict[str, Any]:
    kind, on, times = (asked.body.get(name, default) for name, default in (("kind", None), ("on", ".*"), ("times", 1)))
    station = asked.station
    if not isinstance(kind, str) or kind not in set(FaultKind):
        raise Wrong(400, "kind is one of GET /faults/kinds")
    if isinstance(times, Decimal) and times == times.to_integral_value():
        times = int(times)  # 2.0 is a whole number to JSON
    if type(times) is not int or not 1 <= times <= TIMES_LIMIT:
        raise Wrong(400, f"times is a whole number from 1 to {TIMES_LIMIT}")
    if not isinstance(on, str) or len(on) > PATTERN_LIMIT or not _is_pattern(on):
        raise Wrong(400, f"on is a regular expression of at most {PATTERN_LIMIT} characters")
    station.emulator.faults.append(Fault(FaultKind(kind), on, times))
    return list_faults(asked)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning):
        return False
    return True


def clear_faults(asked: Asked) -> dict[str, Any]:
    emulator = asked.station.emulator
    cleared, emulator.faults = len(emulator.faults), []
    return {"cleared": cleared}


def remove_fault(asked: Asked) -> dict[str, Any]:
    emulator, number = asked.station.emulator, asked.names["number"]
    kept = [f for f in emulator.faults if str(f.number) != number]
    if len(kept) == len(emulator.faults):
        raise Wrong(404, "no such fault is dialled; it may have been used up")
    emulator.faults = kept
    return list_faults(asked)


def list_fault_kinds(asked: Asked) -> dict[str, Any]:
    return {"kinds": [kind.value for kind in FaultKind], "about": {kind.value: text for kind, text in ABOUT.items()}}


def list_controls(asked: Asked) -> dict[str, Any]:
    return {"controls": [{"name": name, "signature": str(_signature(control)), "about": inspect.getdoc(control) or ""}
                         for name, control in sorted(asked.station.emulator.controls().items())]}


def use_control(asked: Asked) -> dict[str, Any]:
    controls = asked.station.emulator.controls()
    control = controls.get(asked.names["control"])
    if control is None:
        raise Wrong(404, f"no such control; there are: {', '.join(sorted(controls))}")
    try:
        _signature(control).bind(**asked.body)
    except TypeError as error:
        raise Wrong(400, f"{error}; it takes {_signature(control)}") from None
    try:
        return {"result": _plain(control(**asked.body))}
    except ValueError as error:
        raise Wrong(409, f"the emulated PG says no: {error}") from None
    except Exception as error:
        # A control is told to raise ValueError for a bad argument; one that forgot still was given a bad argument.
        log.exception("a control of %s raised", asked.names["name"])
        raise Wrong(409, f"the control raised {type(error).__name__}") from None


def _signature(control: Callable[..., Any]) -> inspect.Signature:
    try:
        # What it returns is JSON in any case.
        return inspect.signature(control).replace(return_annotation=inspect.Signature.empty)
    except ValueError:
        # Written in C, without a signature: the call itself will tell.
        return inspect.signature(lambda **_: None)


def show_clock(asked: Asked) -> dict[str, Any]:
    return {"now": asked.box.clock.now().isoformat()}


def advance_clock(asked: Asked) -> Awaitable[dict[str, Any]]:
    if set(asked.body) not in ({"seconds"}, {"to"}):
        raise Wrong(400, "give either seconds or to")
    now = asked.box.clock.now()
    seconds = _seconds(asked.body["seconds"]) if "seconds" in asked.body else _seconds_until(asked.body["to"], now)
    if now + timedelta(seconds=seconds) > _END_OF_TIME:
        raise Wrong(409, "the sandbox's time ends with 2099; start a new sandbox")
    return _turned(asked, seconds)


async def _turned(asked: Asked, seconds: float) -> dict[str, Any]:
    await asked.box.turn(seconds)
    with asked.box.lock:
        return show_clock(asked)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= ADVANCE_LIMIT_S:
        raise Wrong(400, f"seconds is a number from 0 to {ADVANCE_LIMIT_S}")
    return float(value)


def _seconds_until(value: object, now: datetime) -> float:
    try:
        when = datetime.fromisoformat(value if isinstance(value, str) else "")
        if when.utcoffset() is None:
            raise ValueError
        seconds = (when - now).total_seconds()
    except (ValueError, OverflowError):
        raise Wrong(400, "to is an instant with its zone, such as 2026-01-05T12:00:00+09:00") from None
    if not 0 <= seconds <= ADVANCE_LIMIT_S:
        raise Wrong(409, "a clock is turned forward only, by a year at most")
    return seconds


def _plain(value: Any) -> Any:
    """What an emulator returned, as JSON-like values; its invented credentials and keys are shown."""
    match value:
        case Secret():
            return reveal_all(value)
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in value]
        case Money():
            return {"amount": value.amount, "currency": value.currency}
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return value.isoformat()
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
    return str(value)


ROUTES = (
    Route("GET", "/", index, "What is here; for a browser, the control room.", "Index"),
    Route("GET", "/openapi.json", openapi, "This API as an OpenAPI 3.1 document.", "Document"),
    Route("GET", "/overview", show_overview, "What every gateway holds, newest first.", "Overview"),
    Route("GET", "/gateways", list_gateways, "The emulated gateways: names, URLs, test settings.", "Gateways"),
    Route("GET", "/gateways/{name}/journal", show_journal, "The money it really moved.", "Journal"),
    Route("GET", "/gateways/{name}/calls", show_calls, "The last 1,000 calls it got, without secrets.", "Calls"),
    Route("GET", "/gateways/{name}/hooks", show_hooks, "The webhooks it sent, and how each arrived.", "Hooks"),
    Route("GET", "/gateways/{name}/hooks/{n}", show_hook, "One webhook, with its body.", "Hook"),
    Route("POST", "/gateways/{name}/hooks/{n}/redeliver", redeliver_hook, "Deliver a webhook once more.", "Delivery",
          "Nothing"),
    Route("GET", "/gateways/{name}/faults", list_faults, "The faults that are dialled.", "Faults"),
    Route("POST", "/gateways/{name}/faults", add_fault, "Make the next matching calls go wrong.", "Faults", "NewFault",
          201),
    Route("DELETE", "/gateways/{name}/faults", clear_faults, "Take every fault back.", "Cleared"),
    Route("DELETE", "/gateways/{name}/faults/{number}", remove_fault, "Take one fault back.", "Faults"),
    Route("GET", "/faults/kinds", list_fault_kinds, "The kinds of fault.", "FaultKinds"),
    Route("GET", "/gateways/{name}/controls", list_controls, "What can be done to it beside HTTP.", "Controls"),
    Route("POST", "/gateways/{name}/controls/{control}", use_control, "Use a control: act as the payer, issue a key.",
          "Result", "Arguments"),
    Route("GET", "/clock", show_clock, "What time it is for every gateway.", "Clock"),
    Route("POST", "/clock/advance", advance_clock, "Turn the clock forward; what falls due happens.", "Clock",
          "Advance"),
)
