"""Whether code reaches for the world while it runs: seen by the interpreter, by whatever way it does so.

Two watchers: the audit events of files, sockets and processes, and a profiler for clocks, dice, waiting and output.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import datetime
from types import FrameType, GeneratorType
from typing import Any

from ...provider import Provider

_CALLS = {"sleep", "time", "monotonic", "perf_counter", "time_ns", "now", "utcnow", "today", "localtime", "connect",
          "send", "sendall", "recv", "open", "urandom", "getrandbits", "random", "system", "gettimeofday", "uuid1",
          "uuid4", "getaddrinfo", "urlopen", "print", "input", "select", "poll"}
"""Built-in functions by which code reaches the world, or asks it for the time or for dice."""
_EVENTS = ("open", "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
           "os.startfile", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "os.putenv",
           "os.link", "os.symlink", "os.truncate", "os.kill", "shutil.", "tempfile.", "sqlite3.", "urllib.", "http.",
           "smtplib.", "ftplib.", "time.sleep", "builtins.input", "webbrowser.", "signal.")
"""Audit events (or how they begin) of something outside the process."""
_WAITS = {("threading", "wait"), ("threading", "join"), ("queue", "get"), ("queue", "put")}
"""Functions of the standard library in which a thread stands still."""
_OTHERS = {"importlib", "zoneinfo", "linecache", "logging", "encodings", "codecs", "_frozen_importlib",
           "_frozen_importlib_external"}
"""What they do, they do for themselves: modules and zones are loaded, a line of a log is given its time."""

_watched: list[tuple[frozenset[str], set[str]]] = []
"""Whose packages are watched at the moment, and what was seen. An audit hook can never be taken away again."""
_is_hooked: list[bool] = []


def watching(kind: type[Provider], run: Callable[[], object]) -> set[str]:
    """Run it; returns what code of that provider's packages reached for meanwhile, directly or through others."""
    modules = {k.__module__ for k in kind.__mro__} - {Provider.__module__, object.__module__}
    packages = frozenset(m.rpartition(".")[0] or m for m in modules)
    reached: set[str] = set()
    if not _is_hooked:
        sys.addaudithook(_audited)
        _is_hooked.append(True)

    def profiled(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            name = getattr(arg, "__name__", "")
            harmless = isinstance(getattr(arg, "__self__", None), (GeneratorType, datetime))  # flow.send
            if name in _CALLS and not harmless and _is_theirs(frame, packages):
                reached.add(name)
        elif event == "call":
            where = (str(frame.f_globals.get("__name__", "")), frame.f_code.co_name)
            if where in _WAITS and _is_theirs(frame, packages):
                reached.add(".".join(where))

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # Whoever listens to collections may ask for the time, with the provider's frames below it.
    _watched.append((packages, reached))
    sys.setprofile(profiled)
    try:
        run()
    finally:
        sys.setprofile(before)
        _watched.pop()
        if collects:
            gc.enable()
    return reached


def _audited(event: str, _: tuple[Any, ...]) -> None:
    if _watched and event.startswith(_EVENTS):
        packages, reached = _watched[-1]
        if _is_theirs(sys._getframe(1), packages):
            reached.add(event)


def _is_theirs(frame: FrameType | None, packages: frozenset[str]) -> bool:
    """Whether one of those packages stands behind a call, with nothing between that does it for itself."""
    while frame is not None:
        where = str(frame.f_globals.get("__name__", ""))
        if any(where == p or where.startswith(f"{p}.") for p in packages):
            return True
        if where.partition(".")[0] in _OTHERS or where == __name__:
            return False
        frame = frame.f_back
    return False
