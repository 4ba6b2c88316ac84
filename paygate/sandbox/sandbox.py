"""`Sandbox`: emulated PGs on one clock, each on a port of its own, and the control API on another, in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime
from secrets import token_hex
from threading import Condition, RLock, Thread
from types import TracebackType
from typing import Any, Self

from ..errors import BadSettings
from ..plugins import find_providers, is_allowed, load
from ..testing.emulator import Answer, Call, Emulator, FaultKind, VirtualClock
from ..testing.fakepg import FAKEPG, FakePG
from .control import control
from .merchant import Merchant
from .server import Limits, LoopbackServer, log, require_loopback
from .station import Station

TICK_S = 0.2
_PATIENCE_S = 5.0


class Sandbox:
    """Emulated PGs over HTTP on loopback, in a background thread. No real money.

        with Sandbox(["acme"]) as box:
            box.url("acme"), box.settings("acme"), box.control_url

    `gateways` are names of installed providers or "fakepg", or emulators; emulators that are handed over have to share
    a clock, which then is the sandbox's. Otherwise its clock starts at `start` (now) and ticks.
    An emulator made here by name gives out ids that no other sandbox does; one that is handed over keeps its own.
    `ports` gives ports to gateways by name; the others, and the control API by default, get free ones.

    Whoever touches an emulator or the clock of a running sandbox holds `lock`; the methods here do.

    Raises: BadSettings for an emulator whose settings are not test settings, for a name given twice and for a host that
    is not loopback; UnknownProvider and Unsupported as `paygate.plugins.load` and `ProviderSpec.load_emulator`.
    """

    def __init__(self, gateways: Iterable[str | Emulator], *, ports: Mapping[str, int] | None = None,
                 control_port: int = 0, host: str = "127.0.0.1", start: datetime | None = None,
                 limits: Limits | None = None) -> None:
        gateways = list(gateways)
        self.lock = RLock()
        self.clock = _clock(gateways, start)
        self._changed = Condition(self.lock)
        self._ports = dict(ports or {})
        self._control_port = control_port
        self._host = _loopback(host)
        self._limits = limits
        self.stations: dict[str, Station] = {}
        for gateway in gateways:
            emulator = self._make(gateway) if isinstance(gateway, str) else gateway
            _refuse_live(emulator)
            if emulator.name in self.stations:
                raise BadSettings(f"{emulator.name} is named twice; a sandbox has one of each")
            self.stations[emulator.name] = Station(emulator, self.lock, self._changed.notify_all,
                                                   built_in=_is_built_in(emulator))
        if strangers := sorted(set(self._ports) - set(self.stations)):
            raise BadSettings(f"a port was given to {', '.join(strangers)}, which is not in this sandbox")
        self._servers: dict[str | None, LoopbackServer] = {}
        self.merchants: dict[str, Merchant] = {}
        self._thread: Thread | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def _make(self, name: str) -> Emulator:
        emulator = (FAKEPG if name == FAKEPG.name and not _is_plugin(name) else load(name)).load_emulator()(self.clock)
        # A ledger file outlives this process; without salt the next one would give the same ids to other payments.
        emulator.salt = token_hex(8)
        return emulator

    # What a merchant's test asks it

    @property
    def control_url(self) -> str:
        """Where the control API listens."""
        return self._servers[None].url

    def url(self, name: str) -> str:
        """Where the emulated PG of that name listens: the base URL to connect to."""
        return self._servers[name].url

    def settings(self, name: str) -> dict[str, Any]:
        """The test settings with which a merchant reaches that PG."""
        emulator = self.emulator(name)
        where = {} if name not in self._servers else {
            setting: self.url(name) + path for setting, path in emulator.page_settings}
        return {**emulator.settings(), **where}

    def emulator(self, name: str) -> Emulator:
        """The emulator itself; hold `lock` while touching it."""
        return self.stations[name].emulator

    def browse(self, name: str, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        """Be the payer's browser: do what a `Checkout.action` (as `to_dict()`) says, then approve, decline or close.

        Returns the query that comes back to the merchant's return_url.
        """
        with self.lock:
            return self.emulator(name).browse(action, outcome)

    def fault(self, name: str, kind: FaultKind | str, on: str = ".*", times: int = 1) -> None:
        """Make the next `times` matching calls to that PG go wrong (see `paygate.testing.emulator.FaultKind`)."""
        with self.lock:
            self.emulator(name).fault(kind, on, times)

    def do(self, name: str, control: str, **arguments: Any) -> Any:
        """Do one of the emulator's `controls`: issue a key, decide the next charge, …"""
        with self.lock:
            return self.emulator(name).controls()[control](**arguments)

    def show_ledger(self, name: str, path: str | os.PathLike[str]) -> None:
        """Show in the control room, beside what that PG has due, what a merchant's paygate has: `path` is the SQLite
        file of its ledger. It is only read, until the sandbox stops.

        Raises: LedgerError where it cannot be opened; KeyError for a PG that is not here.
        """
        fresh = Merchant(path, self.stations[name].name)
        with self.lock:
            before, self.merchants[name] = self.merchants.get(name), fresh
        if before is not None:
            before.close()

    def advance(self, seconds: float) -> None:
        """Turn the clock forward; whatever falls due on the way happens. Webhooks leave at once, in real time."""
        with self.lock:
            self.clock.advance(seconds)

    async def turn(self, seconds: float) -> None:
        """As `advance`, within the sandbox's own loop: each webhook that falls due on the way is delivered before the
        clock goes on, so that it is not months old by then. For five seconds in all; then nobody is waited for.
        """
        patient_until = asyncio.get_running_loop().time() + _PATIENCE_S
        with self.lock:
            goal = self.clock.monotonic() + seconds
        while True:
            with self.lock:
                now, next_s = self.clock.monotonic(), self.clock.next_s()
                is_last = next_s is None or next_s >= goal
                self.clock.advance(max(0.0, (goal if next_s is None else min(goal, next_s)) - now))
                # Nothing is left behind by a rounding.
                self.clock.run_due()
            if is_last:
                return
            while asyncio.get_running_loop().time() < patient_until:
                with self.lock:
                    if self._is_settled():
                        break
                await asyncio.sleep(0.01)

    def wait_for_hooks(self, timeout_s: float = 30.0) -> bool:
        """Wait until no webhook is on its way; False where that took longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(self._is_settled, timeout_s)

    def _is_settled(self) -> bool:
        return not any(d.state == "waiting" for s in self.stations.values() for d in s.courier.deliveries)

    # Starting and stopping

    def start(self) -> Self:
        """Listen on every port; returns once all answer.

        Raises: BadSettings where a port cannot be had.
        """
        if self._thread is not None:
            raise RuntimeError("this sandbox is running")
        ready: Future[None] = Future()
        self._thread = Thread(target=self._main, args=(ready,), name="paygate-sandbox", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Close every connection and port, and end the thread. Stopping twice is stopping once."""
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._stop is not None:
                loop, stop = self._stop
                # The loop may have ended by itself just now.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(stop.set)
            thread.join()
        for name in list(self.merchants):
            self.merchants.pop(name).close()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()

    # In the thread

    def _main(self, ready: Future[None]) -> None:
        try:
            # The selector's loop, because the server watches its listening sockets itself.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._run(ready))
        except Exception as error:
            if ready.done():
                log.exception("the sandbox ended")
            else:
                ready.set_exception(error)

    async def _run(self, ready: Future[None]) -> None:
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        self._servers = {name: self._server(station) for name, station in self.stations.items()}
        self._servers[None] = LoopbackServer(self._control, host=self._host, port=self._control_port,
                                             limits=self._limits)
        helpers = [asyncio.create_task(work) for work in self._helpers()]
        try:
            for name, server in self._servers.items():
                await self._listen(name, server)
            ready.set_result(None)
            await stop.wait()
        finally:
            for server in self._servers.values():
                await server.stop()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _listen(self, name: str | None, server: LoopbackServer) -> None:
        try:
            await server.start()
        except OSError as error:
            what, option = (name, f"--port {name}=NUMBER, ports") if name else ("the control API",
                                                                               "--control-port, control_port")
            raise BadSettings(f"{what} cannot listen on {self._host}, port {server.port}: "
                              f"{error.strerror or type(error).__name__}; give it another ({option})") from error

    def _server(self, station: Station) -> LoopbackServer:
        return LoopbackServer(station.handle, host=self._host, port=self._ports.get(station.name, 0),
                              limits=self._limits, reset_on_accept=station.refuses)

    async def _control(self, call: Call) -> Answer:
        return await control(self, call)

    def _helpers(self) -> list[Coroutine[Any, Any, None]]:
        return [self._tick(), *(station.deliver() for station in self.stations.values())]

    async def _tick(self) -> None:
        """Let what falls due happen in real time too."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                with self.lock:
                    self.clock.run_due()
            except Exception:
                log.exception("an emulator failed at something that fell due")


def _is_plugin(name: str) -> bool:
    return any(found.name == name and is_allowed(found) for found in find_providers())


def _is_built_in(emulator: Emulator) -> bool:
    return isinstance(emulator, FakePG) and not _is_plugin(emulator.name)


def _clock(gateways: Iterable[str | Emulator], start: datetime | None) -> VirtualClock:
    clocks = {id(g.clock): g.clock for g in gateways if isinstance(g, Emulator)}
    if len(clocks) > 1:
        raise BadSettings("the emulators of a sandbox share one clock; make them with the same VirtualClock")
    return next(iter(clocks.values()), None) or VirtualClock(start, ticking=True)


def _refuse_live(emulator: Emulator) -> None:
    mode = emulator.settings().get("mode", "test")
    if mode != "test":
        raise BadSettings(f"{emulator.name} is set to mode {mode!r}; a sandbox takes test settings only")


def _loopback(host: str) -> str:
    try:
        return require_loopback(host)
    except ValueError as error:
        raise BadSettings(str(error)) from None
