"""The failures that paygate must survive, by number, and what their tests are made of.

`ROWS` says of each what goes wrong and what holds then. A test of one says so with `@row("F11")`; `docs/tables.py`
prints the table of rows and tests, and a test fails where a row has none.

`Bench` makes shops at FakePG: either face, every store, any number of them on the same books.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from shop import FACES, KEY, Shop
from wire_server import WireServer

from paygate import Ledger, LedgerError, MemoryLedger, Response
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.emulator import Broken, Call, VirtualClock
from paygate.testing.fakepg import FakePG

F = TypeVar("F", bound=Callable[..., object])

ROWS = {
    "F01": ("an amount, id or text that cannot be sent", "`BadCommand`; nothing is written, nothing is sent"),
    "F02": ("a missing secret, a forbidden address, a plugin that may not be loaded",
            "refused when the gateway is made, not at the first charge"),
    "F03": ("the ledger cannot be written before the first byte", "`NotSent`; the PG hears nothing"),
    "F04": ("the same order id is being sent by another worker", "`InProgress`; one sender"),
    "F05": ("the same order id with other parameters", "`Conflict`; nothing is sent"),
    "F06": ("no connection: refused, timed out, no TLS, no proxy",
            "tried at most twice more, never for TLS; then `NotSent`"),
    "F07": ("no token, or wrong credentials", "`NotSent`, or `Unauthorized` without another try"),
    "F08": ("401 to the call", "one new token, the call once more; then `Unauthorized`"),
    "F09": ("many workers find the token expired; the wall clock is wrong",
            "one new token; its life is measured by a clock that cannot jump"),
    "F10": ("the connection breaks while the request is written", "unknown"),
    "F11": ("the connection ends before an answer", "unknown; no charge goes out on a used connection"),
    "F12": ("no answer in time", "unknown, within the deadline"),
    "F13": ("the answer breaks off", "unknown"),
    "F14": ("a status that is no answer to a charge: 5xx, 3xx, 408, 409, 425", "unknown; no redirect is followed"),
    "F15": ("an answer that is not JSON in UTF-8", "unknown"),
    "F16": ("an answer that is too long, packed or endless", "unknown; at most 1 MiB is read"),
    "F17": ("JSON that lies in wait: deep, huge numbers, NaN, a key twice", "unknown"),
    "F18": ("an answer that lacks fields, or has a status nobody knows",
            "unknown; fields nobody knows are passed over"),
    "F19": ("an answer about another order or payment", "never a success; a person is told at once"),
    "F20": ("another amount or currency", "never a success; a person is told at once"),
    "F21": ("the PG says no", "looked up: paid, declined, or absent and in the end not sent; else unknown"),
    "F22": ("429", "tried again after Retry-After, at most twice; then it says that nothing was done"),
    "F23": ("a payment under an order that was never sent", "no order changes; a person is told"),
    "F24": ("the call is torn down: Ctrl-C, a cancelled task", "unknown; the interrupt goes on"),
    "F30": ("the PG does it after we hung up", "unknown until it shows; never sent again"),
    "F31": ("look-ups lag behind", "\"not found\" is not believed before the settle window is over"),
    "F32": ("declined, and approved later", "answered, and a person is told"),
    "F33": ("the webhook comes before our own answer", "applied once; the later answer changes nothing"),
    "F34": ("the webhook never comes", "reconcile finds out; a PG that cannot be asked: a person after 15 minutes"),
    "F35": ("webhooks twice, out of order, late, replayed", "one end, told once"),
    "F36": ("a forged webhook, or one about another order, mode or amount", "`Forged`; no order is settled by it"),
    "F37": ("the wall clock jumps", "nothing is sent twice, nothing is proven by it"),
    "F40": ("the process dies at any step", "after a restart the ledger comes to agree with the PG; done at most once"),
    "F41": ("the ledger fails after the request was sent", "the outcome is told, `unrecorded`; looked up later"),
    "F42": ("power is lost", "what was written before the first byte is on the disk"),
    "F43": ("an old backup is restored",
            "what was forgotten is found and told to a person; nothing is given back twice"),
    "F44": ("a worker stands still past its lease", "it does not send and cannot write"),
    "F45": ("two workers take up the same order", "one sends"),
    "F46": ("the process forks", "parent and child share no connection"),
    "F50": ("the answer to a schedule is lost, or names some of it", "each item is looked up; the same ids"),
    "F51": ("a date in the past, without a zone, or out of range", "refused here"),
    "F52": ("month ends, leap days, midnight in Korea", "the stated instant, whatever the zone"),
    "F53": ("ticks were missed, or fire twice",
            "one charge for each occurrence; of a subscription's missed periods what its terms say"),
    "F54": ("nothing is named to be unscheduled", "refused here: it would stop everything"),
    "F55": ("unscheduled while it is carried out", "it says \"executed\"; nothing is given back by itself"),
    "F56": ("the answer to a refund is lost", "the balance tells; never given back twice"),
    "F57": ("a refund of nothing, too much, another currency, or of what is unknown or unpaid", "refused here"),
    "F58": ("two refunds race", "one at a time, never more than was charged"),
    "F59": ("a key is deleted while charges hang on it", "refused unless forced"),
    "F60": ("a forged return: of nothing, of another order, replayed", "looked up; only our own order counts"),
    "F61": ("the payer closes the window", "pending, until the PG says otherwise"),
    "F62": ("the payer's page asks for another amount", "never a success; a person is told"),
}

AWAITED: dict[str, str] = {}
"""Rows that cannot have a test yet, and why."""


def row(*ids: str) -> Callable[[F], F]:
    """Say that a test is one of these rows'. docs/tables.py reads it off the source."""
    assert set(ids) <= set(ROWS), ids
    return lambda test: test


STORES = ("memory", "sqlite", "postgres")
EVERYWHERE = pytest.mark.parametrize("bench", [(f, s) for f in FACES for s in STORES], indirect=True, ids="-".join)
"""One body on both faces and every store."""


class Bench:
    """Shops on one set of books at one PG. `shop()` opens the books anew, as another process would."""

    def __init__(self, face: str, kind: str, folder: Path, stack: ExitStack) -> None:
        self.face, self.kind = face, kind
        self.pg = _one_call_at_a_time(FakePG())
        folder.mkdir(exist_ok=True)
        self._folder, self._stack = folder, stack
        self._memory = MemoryLedger()
        self._url = _database() if kind == "postgres" else ""

    @property
    def address(self) -> str:
        """Where `connect` finds the books."""
        return self._url or str(self._folder / "books.db")

    def books(self) -> Ledger:
        """The ledger, opened once more."""
        match self.kind:
            case "memory":
                return self._memory
            case "sqlite":
                return SqliteLedger(self._folder / "books.db")
        from paygate.ledger.postgres import PostgresLedger

        made: Ledger = PostgresLedger(self._url)
        return made

    def shop(self, face: str | None = None, *, ledger: Any = None, **options: Any) -> Shop:
        """A shop on these books; `ledger` wraps them."""
        books = self.books()
        made = Shop(face or self.face, books if ledger is None else ledger(books), pg=self.pg, **options)
        return self._stack.enter_context(made)


def _one_call_at_a_time(pg: FakePG) -> FakePG:
    """The PG as threads may call it."""
    truly, alone = pg.handle, threading.Lock()

    def handle(call: Call) -> Any:
        with alone:
            return truly(call)
    pg.handle = handle  # type: ignore[method-assign]
    return pg


_DATABASE: list[str] = []


def _database() -> str:
    """The address of an empty PostgreSQL database: one for the whole process, emptied for each test."""
    import pg_server

    if not _DATABASE:
        _DATABASE.append(_KEPT.enter_context(pg_server.database()))  # Gone with the server.
        return _DATABASE[0]
    import psycopg

    with psycopg.connect(_DATABASE[0], autocommit=True) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN "
                                   "('paygate_migration', 'paygate_meta')").fetchall()
        connection.execute("SET session_replication_role = replica")  # Its triggers hold what was written.
        if names:
            connection.execute(f"TRUNCATE {', '.join(name for name, in names)}".encode())
    return _DATABASE[0]


_KEPT = ExitStack()


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    face, kind = request.param
    with ExitStack() as stack:
        yield Bench(face, kind, tmp_path, stack)


class Failing:
    """A ledger that fails at its `at`-th call from now and the `times` - 1 after it; `late`: having done its work."""

    def __init__(self, inner: Ledger) -> None:
        self.inner, self.blocking = inner, inner.blocking
        self.calls, self.at, self.times, self.late = 0, 0, 0, False

    def fail(self, at: int = 1, times: int = 10**9, *, late: bool = False) -> None:
        self.calls, self.at, self.times, self.late = 0, at, times, late

    def heal(self) -> None:
        self.at = 0

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self.inner, verb)
        if verb == "close" or not callable(method):
            return method

        def call(*args: Any) -> Any:
            self.calls += 1
            if not self.at or not self.at <= self.calls < self.at + self.times:
                return method(*args)
            if self.late:
                method(*args)
            raise LedgerError("database or disk is full")
        return call


@contextmanager
def served(pg: FakePG, wrong: Callable[[WireServer, socket.socket, Response | None], None] | None = None,
           on: str = "POST /charges", times: int = 1, *, done: bool = True) -> Iterator[WireServer]:
    """FakePG over a real socket. The first `times` calls `on` are answered by `wrong`, which gets the connection and
    the true answer; `done` says whether the PG carried the call out before that.
    """
    left = [times if wrong is not None else 0]

    def behave(server: WireServer, connection: socket.socket) -> None:
        while server.read_request(connection):
            head, _, body = server.requests[-1].partition(b"\r\n\r\n")
            method, target, _ = head.partition(b"\r\n")[0].decode("ascii").split(" ")
            call = Call(method, target, {n.lower(): v for n, v in server.headers()}, body)
            if wrong is not None and left[0] and f"{call.method} {call.path}" == on:
                left[0] -= 1
                truth = pg.handle(call) if done else None
                assert not isinstance(truth, Broken)
                wrong(server, connection, truth)
                return
            answer = pg.handle(call)
            if isinstance(answer, Broken):
                return
            connection.sendall(on_the_wire(answer))
    with WireServer(behave) as server:
        yield server


def on_the_wire(answer: Response) -> bytes:
    """An answer as bytes."""
    lines = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items()),
             f"content-length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode("ascii") + answer.body


def ticking(bench: Bench) -> None:
    """From now on real time passes on the bench's clock too: for sockets that wait."""
    pg = _one_call_at_a_time(FakePG(VirtualClock(ticking=True)))
    pg.issue_key(KEY.reveal())
    bench.pg = pg


def while_the_pg_works(bench: Bench, on: str, do: Any) -> None:
    """Have `do` happen while the PG works on its next call `on`."""
    truly = bench.pg.handle

    def handle(call: Any) -> Any:
        if f"{call.method} {call.path}" == on:
            bench.pg.handle = truly  # type: ignore[method-assign]
            do()
        return truly(call)
    bench.pg.handle = handle  # type: ignore[method-assign]


def in_a_thread(do: Any) -> Any:
    """`do` in another thread, waited for; what it raises is raised here."""
    def call() -> None:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                do()
            except BaseException as error:
                errors.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
        if errors:
            raise errors[0]
    return call
