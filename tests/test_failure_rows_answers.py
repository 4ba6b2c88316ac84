"""Rows F10 to F24: what can come back once a byte has left. What our record at the PG does not say is not believed.

The first half is played over real sockets, by bytes on the wire.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from failure_rows import EVERYWHERE, Bench, bench, on_the_wire, row, served, ticking
from shop import cancel, cancel_whole, charge, won
from wire_server import BIG, WireServer

from paygate import (
    Capability,
    Declined,
    DeleteKey,
    EventKind,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Refused,
    Response,
    State,
)
from paygate.testing.emulator import Call, json_response
from paygate.testing.fakepg import FAKEPG

__all__ = ["bench"]
CHARGES = "POST /charges"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Wrong = Callable[[WireServer, socket.socket, Response | None], None]


def says(data: bytes) -> Wrong:
    """Answer with these bytes, then end the connection."""
    return lambda server, connection, truth: connection.sendall(data)


def body(data: bytes, *fields: bytes, status: bytes = b"200 OK") -> Wrong:
    """Answer with this body, whole."""
    head = b"\r\n".join([b"HTTP/1.1 " + status, *(fields or (b"Content-Type: application/json",)),
                         b"Content-Length: %d" % len(data), b"", b""])
    return says(head + data)


def end(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    """End the connection without a word."""


def reset(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    import struct

    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    told = on_the_wire(truth or json_response(200, b'{"id": "p1"}'))
    connection.sendall(told[:-7])


def half_then_reset(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    half(server, connection, truth)
    reset(server, connection, truth)


def wait(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    server.stop.wait()


def drip(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not server.stop.wait(0.005):
        connection.sendall(b" ")


def in_json(inside: bytes) -> Wrong:
    return body(b'{"id": "p1", "order_id": "o1", "amount": 14000, ' + inside + b"}")


WIRE: dict[str, dict[str, Wrong]] = {
    "F11": {"ended": end, "reset": reset, "half a status line": says(b"HTTP/1.1 2")},
    "F12": {"nothing": wait, "a byte at a time": drip},
    "F13": {"cut": half, "reset": half_then_reset, "short": says(HEAD + b"Content-Length: 50\r\n\r\n{}"),
            "half a chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")},
    "F14": {str(code): body(b"{}", status=b"%d No" % code) for code in (500, 502, 503, 504, 408, 409, 425, 300, 304)}
    | {f"{code} away": body(b"", b"Location: http://127.0.0.1:1/elsewhere", status=b"%d Away" % code)
       for code in (301, 302, 303, 307, 308)}
    | {"502 in HTML": body(b"<html>", b"Content-Type: text/html", status=b"502 Bad Gateway")},
    "F15": {"HTML": body(b"<html>paid</html>", b"Content-Type: text/html"), "no JSON": body(b"paid"),
            "empty": body(b""), "a mark before it": body(b'\xef\xbb\xbf{"id": "p1"'),
            "not UTF-8": body(b'{"id": "\xff\xfe"}'), "UTF-16": body('{"id": "p1"}'.encode("utf-16"))},
    "F16": {"long": body(b" " * BIG), "packed": body(gzip.compress(b" " * (64 << 20)), b"Content-Encoding: gzip"),
            "packed otherwise": body(zlib.compress(b" " * (64 << 20)), b"Content-Encoding: deflate"),
            "of no length": says(HEAD + b"\r\n" + b" " * BIG)},
    "F17": {"deep": body(b"[" * 100_000), "a huge number": in_json(b'"given_back": ' + b"9" * 5_000),
            "NaN": in_json(b'"given_back": NaN'), "infinite": in_json(b'"given_back": 1e999'),
            "a key twice": in_json(b'"amount": 14000')},
}
CELLS = [(number, how) for number, ways in WIRE.items() for how in ways]


def play(bench: Bench, wrong: Wrong, *, done: bool, deadline_s: float) -> None:
    """The PG (does what is asked and) answers wrongly; then it cannot be asked; then it can, and time passes."""
    ticking(bench)
    with served(bench.pg, wrong, done=done) as server:
        shop = bench.shop(base_url=server.base_url, own_connections=True, deadline_s=deadline_s)
        with pytest.raises(NotFound):
            shop.find("o1")  # A token is there, so that the time is spent on the charge alone.
        bench.pg.fault("error_500_before", "^GET ", times=1000)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge())
        assert time.monotonic() - began < 30
        assert shop.row("o1").state is State.UNKNOWN
        for blocked in (lambda: shop.charge(charge()), lambda: shop.cancel_whole(cancel_whole())):
            with pytest.raises(OutcomeUnknown):
                blocked()
        with pytest.raises(ValueError, match="o1"):
            shop.delete_key(DeleteKey(billing_key=charge().billing_key, reason="asked"))
        bench.pg.faults.clear()
        shop.settle()
        assert shop.row("o1").state is (State.ANSWERED if done else State.NOT_SENT)
        assert [line for line in map(server.line, range(len(server.requests))) if "/charges" in line] == [
            "POST /charges HTTP/1.1"]
        assert bench.pg.journal.charges("o1") == done
        assert not any("elsewhere" in server.line(n) for n in range(len(server.requests)))


FEW = pytest.mark.parametrize("bench", [("sync", "sqlite"), ("async", "memory"), ("async", "postgres")], indirect=True,
                              ids="-".join)
"""For what depends on the connection, not on the store."""


@FEW
@pytest.mark.parametrize("done", [False, True], ids=["not-done", "done"])
@pytest.mark.parametrize(("number", "how"), CELLS, ids=[" ".join(cell) for cell in CELLS])
@row("F11", "F12", "F13", "F14", "F15", "F16", "F17")
def test_f11_to_f17_whatever_comes_over_the_wire_instead_of_an_answer_is_a_doubt(number: str, how: str, done: bool,
                                                                               bench: Bench) -> None:
    play(bench, WIRE[number][how], done=done, deadline_s=1.5 if number == "F12" else 60.0)


@FEW
@row("F10")
def test_f10_a_request_that_broke_off_on_its_way_is_a_doubt(bench: Bench) -> None:
    ticking(bench)
    seen: list[bytes] = []

    def behave(server: WireServer, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if data.startswith(b"POST /charges"):
            seen.append(data[:20])
            reset(server, connection, None)  # Perhaps in the middle of the body, perhaps after it.
            return
        call = _call(data, connection)
        answer = bench.pg.handle(call)
        assert isinstance(answer, Response)
        connection.sendall(on_the_wire(answer))
    with WireServer(behave) as server:
        shop = bench.shop(base_url=server.base_url, own_connections=True)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge())
        assert shop.row("o1").state is State.UNKNOWN
        shop.settle()
    assert len(seen) == 1
    assert shop.row("o1").state is State.NOT_SENT


def _call(data: bytes, connection: socket.socket) -> Call:
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, text = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
    while len(text) < int(headers.get("content-length", 0)):
        text += connection.recv(65536)
    method, target, _ = first.split(" ")
    return Call(method, target, headers, text)


@FEW
@row("F11")
def test_f11_no_charge_goes_out_on_a_connection_that_was_used_before(bench: Bench) -> None:
    """An answer that the PG sends twice would otherwise be taken for the next charge's."""
    ticking(bench)

    def twice(server: WireServer, connection: socket.socket, truth: Response | None) -> None:
        assert truth is not None
        connection.sendall(on_the_wire(truth) * 2)
        while server.read_request(connection):
            pass
    with served(bench.pg, twice, times=2) as server:
        shop = bench.shop(base_url=server.base_url, own_connections=True)
        first, second = shop.charge(charge("o1")), shop.charge(charge("o2", amount=9_000))
        assert (first.order_id, second.order_id, second.money) == ("o1", "o2", won(9_000))
        assert shop.attention() == []
    assert first.provider_id != second.provider_id


def answering(bench: Bench, change: Callable[[dict[str, Any]], Any]) -> None:
    """The PG does what is asked, and changes its next answer to a charge; its records stay true."""
    truly = bench.pg.answer

    def answer(call: Call) -> Response:
        told = truly(call)
        if call.path != "/charges":
            return told
        bench.pg.answer = truly  # type: ignore[method-assign]
        return json_response(200, json.dumps(change(json.loads(told.body))).encode())
    bench.pg.answer = answer  # type: ignore[method-assign]


@EVERYWHERE
@row("F18")
def test_f18_an_answer_that_is_not_understood_is_a_doubt_and_new_fields_are_passed_over(bench: Bench) -> None:
    shop = bench.shop()
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda told: None, lambda told: [told], lambda told: {}, lambda told: {**told, "status": "chargeback"},
        lambda told: {**told, "status": None}, lambda told: {**told, "amount": "14000.5"},
        lambda told: {k: v for k, v in told.items() if k != "id"}, lambda told: {**told, "currency": 7}]
    for n, change in enumerate(changes):
        answering(bench, change)
        bench.pg.fault("error_500_before", "^GET ", times=3)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge(f"o{n}"))
        assert shop.row(f"o{n}").state is State.UNKNOWN
    answering(bench, lambda told: {**told, "of_next_year": {"x": [1]}})
    assert shop.charge(charge("new-fields")).status == "paid"
    shop.settle()
    assert {shop.row(f"o{n}").state for n in range(len(changes))} == {State.ANSWERED}
    assert shop.sent(CHARGES) == len(changes) + 1


@EVERYWHERE
@row("F19")
def test_f19_an_answer_about_another_order_is_no_success_and_told_to_a_person_at_once(bench: Bench) -> None:
    shop = bench.shop()
    answering(bench, lambda told: {**told, "order_id": "another", "id": "p999"})
    bench.pg.fault("error_500_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown, match="another order"):
        shop.charge(charge())
    assert [(r.id, r.state) for r in shop.attention()] == [("o1", State.UNKNOWN)]
    shop.settle()
    assert shop.row("o1").state is State.ANSWERED
    assert shop.row("o1").provider_id == "p1"
    assert "another order" in shop.row("o1").attention


@EVERYWHERE
@row("F19")
def test_f19_an_answer_to_a_refund_that_names_another_payment_is_told_to_a_person(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge())
    bench.pg.fault("wrong_order", "refunds")
    bench.pg.fault("error_500_before", "^GET ", times=0)
    done = shop.cancel(cancel())
    assert done.payment.provider_id == "p1"
    assert "names another payment" in shop.refund("c1").attention
    assert bench.pg.journal.given_back("o1") == 4_000


@EVERYWHERE
@row("F20")
def test_f20_another_amount_or_currency_is_no_success_and_told_to_a_person_at_once(bench: Bench) -> None:
    shop = bench.shop()
    for id, wrong in (("o1", {"amount": 14_001}), ("o2", {"currency": "USD"}), ("o3", {"amount": 140})):
        truly = bench.pg.answer

        def taking(call: Call, truly: Any = truly, wrong: Any = wrong) -> Response:
            if call.path == "/charges":
                bench.pg.answer = truly  # type: ignore[method-assign]
                call = evolve(call, body=json.dumps({**json.loads(call.body), **wrong}).encode())
            told: Response = truly(call)
            return told
        bench.pg.answer = taking  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown, match="the PG took"):
            shop.charge(charge(id))
        assert shop.row(id).attention.startswith("the PG took")
    for _ in range(3):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert {shop.row(id).state for id in ("o1", "o2", "o3")} == {State.UNKNOWN}
    for id in ("o1", "o2", "o3"):
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge(id))
        with pytest.raises(OutcomeUnknown):
            shop.find(id)
    assert shop.sent(CHARGES) == 3


@EVERYWHERE
@row("F21")
def test_f21_a_no_is_looked_up(bench: Bench) -> None:
    shop = bench.shop()
    bench.pg.fault("lie_failed", CHARGES)  # "internal error", after it was done.
    assert shop.charge(charge("paid")).status == "paid"
    with pytest.raises(Declined) as declined:
        shop.charge(charge("declined", amount=101))
    assert declined.value.moved is False
    stranger = evolve(charge("refused"), billing_key=type(charge().billing_key)("fakepg", "no-such-key"))
    with pytest.raises(OutcomeUnknown) as refused:
        shop.charge(stranger)
    assert refused.value.code == "no_key"
    shop.settle()
    assert [shop.row(id).state for id in ("paid", "declined", "refused")] == [
        State.ANSWERED, State.REFUSED, State.NOT_SENT]
    assert [m.order_id for m in bench.pg.journal.entries] == ["paid"]


@EVERYWHERE
@row("F21")
def test_f21_a_no_of_a_pg_that_cannot_be_asked_is_believed_only_if_it_names_our_order(bench: Bench) -> None:
    blind = evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.FIND, Capability.LOOKUP})
    shop = bench.shop(spec=blind)
    with pytest.raises(Declined):
        shop.charge(charge("declined", amount=101))
    assert shop.row("declined").state is State.REFUSED
    bench.pg.fault("lie_failed", CHARGES)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("paid"))
    for _ in range(20):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert shop.row("paid").state is State.UNKNOWN
    assert [r.id for r in shop.attention()] == ["paid"]
    assert shop.sent(CHARGES) == 2


@EVERYWHERE
@row("F22")
def test_f22_too_many_requests_are_tried_again_when_the_pg_says_and_then_given_up_as_not_done(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge("o0"))
    began = shop.clock.now()
    bench.pg.fault("too_many", CHARGES, times=2)
    assert shop.charge(charge("o1")).status == "paid"
    if bench.face == "sync":
        assert (shop.clock.now() - began).total_seconds() == 2  # Twice Retry-After.
    bench.pg.fault("too_many", CHARGES, times=100)
    with pytest.raises((Refused, NotSent)) as caught:
        shop.charge(charge("o2"))
    assert caught.value.moved is False
    assert shop.row("o2").state is State.NOT_SENT
    assert shop.sent(CHARGES) == 1 + 3 + 3
    bench.pg.faults.clear()
    assert shop.charge(charge("o2")).status == "paid"


@EVERYWHERE
@row("F23")
def test_f23_a_payment_under_an_order_that_was_never_sent_changes_no_order(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge())
    bench.pg._take({"order_id": "never-sent", "amount": 14_000, "currency": "KRW", "key": "key-1"}, "paid")
    before = shop.row("o1")
    told = shop.receive({}, b'{"order_id": "never-sent", "payment_id": "p2"}')
    assert told.kind is EventKind.UNMATCHED
    assert shop.row("never-sent") is None
    assert shop.row("o1") == before
    assert [(r.id, r.order_id) for r in shop.attention()] == [("p2", "never-sent")]


class Torn(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """An interrupt that strikes once the PG has done what was asked."""

    emits_trace = True

    def __init__(self, inner: Any, error: BaseException) -> None:
        self._inner, self._error = inner, error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer: httpx.Response = self._inner.handle_request(request)
        if request.url.path == "/charges":
            raise self._error
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer: httpx.Response = await self._inner.handle_async_request(request)
        if request.url.path == "/charges":
            raise self._error
        return answer


@EVERYWHERE
@row("F24")
def test_f24_a_call_that_is_torn_down_leaves_a_doubt_and_the_interrupt_goes_on(bench: Bench) -> None:
    from paygate.testing.transport import EmulatorTransport

    for n, error in enumerate((KeyboardInterrupt, SystemExit)):
        shop = bench.shop(http=Torn(EmulatorTransport(bench.pg), error("stop")))
        with pytest.raises(error, match="stop"):
            shop.charge(charge(f"o{n}"))
        assert shop.row(f"o{n}").state is State.UNKNOWN
        bench.pg.fault("error_500_before", "^GET ", times=3)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge(f"o{n}"))
        bench.pg.faults.clear()
        shop.settle()
        assert shop.row(f"o{n}").state is State.ANSWERED
        assert bench.pg.journal.charges(f"o{n}") == 1


@pytest.mark.parametrize("bench", [("async", s) for s in ("memory", "sqlite", "postgres")], indirect=True, ids="-".join)
@row("F24")
def test_f24_a_cancelled_task_leaves_a_doubt(bench: Bench) -> None:
    class Slow(Torn):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer: httpx.Response = await self._inner.handle_async_request(request)
            if request.url.path == "/charges":
                arrived.set()
                await asyncio.Event().wait()
            return answer
    from paygate.testing.transport import EmulatorTransport

    shop = bench.shop(http=Slow(EmulatorTransport(bench.pg), RuntimeError()))
    arrived: asyncio.Event

    async def cancelled() -> None:
        nonlocal arrived
        arrived = asyncio.Event()
        task = asyncio.create_task(shop.gate.charge(charge()))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    shop._runner.run(cancelled())
    assert shop.row("o1").state is State.UNKNOWN
    shop.settle()
    assert shop.row("o1").state is State.ANSWERED
    assert bench.pg.journal.charges("o1") == 1
