"""Rows F01 to F09: what goes wrong before the first byte. Nothing is sent, and the caller is told so."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from failure_rows import EVERYWHERE, Bench, Failing, bench, in_a_thread, row, while_the_pg_works
from shop import KEY, Shop, cancel, charge, schedule, won
from wire_server import WireServer, free_port

from paygate import (
    BadSettings,
    Charge,
    Conflict,
    InProgress,
    MemoryLedger,
    NotSent,
    Pay,
    PaygateError,
    State,
    Unauthorized,
    UnknownProvider,
    connect,
    connect_async,
)
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FAKEPG

__all__ = ["bench"]
CHARGES = "POST /charges"

UNSENDABLE: list[dict[str, Any]] = [
    *({"order_id": id} for id in ("", "x" * 41, "a b", "a/../b", "a?b=1", "a%2Fb", "주문", "a\0", "a\r\nb", "\ud800",
                                  None, 7)),
    *({"title": text} for text in ("", "x" * 201, "a\0b", "a\r\nb", "\ud800", "a\u2028b")),
    *({"money": money} for money in (None, 14_000, "14000", won(0))),
    {"billing_key": "key-1"}, {"tax_free": won(14_001)},
]


@EVERYWHERE
@row("F01")
def test_f01_what_cannot_be_sent_is_refused_before_anything_is_written(bench: Bench) -> None:
    shop = bench.shop()
    for wrong in UNSENDABLE:
        said: dict[str, Any] = {"order_id": "o1", "billing_key": KEY, "money": won(14_000), "title": "Tea", **wrong}
        with pytest.raises(ValueError, match=r"."):
            shop.charge(Charge(**said))
    for amount in (-1, True, 1.5, float("nan"), Decimal("1.5"), "1", 10**30):
        with pytest.raises(ValueError, match=r"."):
            won(amount)  # type: ignore[arg-type]
    assert bench.pg.calls == []
    assert shop.pending() == shop.attention() == []


@pytest.mark.parametrize("make", [connect, connect_async], ids=["sync", "async"])
@row("F02")
def test_f02_a_wrong_setting_is_refused_when_the_gateway_is_made(make: Any) -> None:
    right: dict[str, Any] = {"provider": FAKEPG, "settings": {"api_key": "k", "mode": "test"}, "ledger": MemoryLedger()}
    for wrong in ({"settings": {"mode": "test"}}, {"settings": {"api_key": "", "mode": "test"}},
                  {"base_url": "https://elsewhere.example"}, {"base_url": "http://fakepg.example"},
                  {"settings": {"api_key": "k", "mode": "live"}, "base_url": "http://127.0.0.1:1"}):
        with pytest.raises(BadSettings):
            make(**{**right, **wrong})
    with pytest.raises(UnknownProvider):
        make(**{**right, "provider": "portone-naverpay", "allow": []})


@EVERYWHERE
@row("F03")
def test_f03_without_a_ledger_that_can_be_written_the_pg_hears_nothing(bench: Bench) -> None:
    shop = bench.shop(ledger=Failing)
    shop.charge(charge("paid"))
    dated = schedule(shop, in_s=86_400)
    heard = len(bench.pg.calls)
    for ask in (lambda: shop.charge(charge()), lambda: shop.cancel(cancel(order_id="paid")),
                lambda: shop.schedule(dated),
                lambda: shop.pay(Pay(order_id="w1", money=won(100), title="Tea", return_url="https://shop.example/"))):
        shop.ledger.fail()
        with pytest.raises(NotSent, match="ledger"):
            ask()
    shop.ledger.heal()
    assert len(bench.pg.calls) == heard
    assert shop.charge(charge()).status == "paid"


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("what", ["locked", "full", "read-only"])
@row("F03")
def test_f03_a_file_that_is_locked_full_or_read_only_stops_the_charge(what: str, face: str, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "books.db"
    with Shop(face, SqliteLedger(path, patience_s=0.05)) as shop:
        other = sqlite3.connect(path, isolation_level=None)
        if what == "locked":
            other.execute("BEGIN IMMEDIATE")
        else:
            for connection in _connections(shop.ledger):
                connection.execute("PRAGMA max_page_count = 1" if what == "full" else "PRAGMA query_only = 1")
        ids = [f"o{n}" for n in range(200)]  # A full disk may have room for some.
        with pytest.raises(NotSent, match="ledger"):
            list(map(shop.charge, map(charge, ids)))
        other.close()
        written = {id for id in ids if shop.row(id) is not None}
        assert {m.order_id for m in shop.pg.journal.entries} == written < set(ids)


def _connections(ledger: Any) -> list[Any]:
    return [ledger._file._writer]


@EVERYWHERE
@row("F04")
def test_f04_an_order_that_another_worker_is_sending_is_in_progress(bench: Bench) -> None:
    shop, told = bench.shop(), []

    def other() -> None:
        with pytest.raises(InProgress) as caught:
            bench.shop("sync").charge(charge())
        told.append(caught.value)
    while_the_pg_works(bench, CHARGES, in_a_thread(other))
    assert shop.charge(charge()).status == "paid"
    assert [error.order_id for error in told] == ["o1"]
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
@row("F05")
def test_f05_the_same_order_with_other_parameters_is_a_conflict(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge())
    for other in (charge(amount=14_001), charge(title="Coffee"), charge(tax_free=won(1)),
                  charge(billing_key=type(KEY)("fakepg", "key-2"))):
        with pytest.raises(Conflict):
            shop.charge(other)
    with pytest.raises(Conflict):
        shop.schedule(schedule(shop, "o1"))
    shop.cancel(cancel())
    with pytest.raises(Conflict):
        shop.cancel(cancel(amount=3_999))
    assert (shop.sent(CHARGES), bench.pg.journal.given_back("o1")) == (1, 4_000)


class Unreachable(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that fails before it starts to send, and says so."""

    emits_trace = True

    def __init__(self, error: type[httpx.HTTPError]) -> None:
        self.error, self.tries = error, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tries += 1
        raise self.error("no")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@EVERYWHERE
@row("F06")
def test_f06_what_was_never_connected_was_not_sent(bench: Bench) -> None:
    for number, error in enumerate((httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.ConnectError)):
        http = Unreachable(error)
        shop = bench.shop(http=http)
        with pytest.raises(NotSent):
            shop.charge(charge(f"u{number}"))
        assert http.tries == 3  # Of the token: the first request of all.
        assert shop.row(f"u{number}").state is State.NOT_SENT
    shop = bench.shop()
    bench.pg.fault("refuse", CHARGES, times=2)
    assert shop.charge(charge("third-time")).status == "paid"
    bench.pg.fault("refuse", CHARGES, times=3)
    with pytest.raises(NotSent):
        shop.charge(charge("never"))
    bench.pg.faults.clear()
    assert shop.charge(charge("never")).status == "paid"
    assert [m.order_id for m in bench.pg.journal.entries] == ["third-time", "never"]


@EVERYWHERE
@row("F06")
def test_f06_a_refused_port_is_tried_again_and_broken_tls_is_not(bench: Bench) -> None:
    shop = _real(bench, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSent):
        shop.charge(charge("o1"))

    def not_tls(server: WireServer, connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with WireServer(not_tls) as server:
        shop = _real(bench, f"https://127.0.0.1:{server.port}")
        with pytest.raises(NotSent):
            shop.charge(charge("o2"))
        assert server.connections == 1
    assert [shop.row(id).state for id in ("o1", "o2")] == [State.NOT_SENT] * 2


def _real(bench: Bench, base_url: str) -> Shop:
    """A shop that goes through paygate's own connections."""
    return bench.shop(base_url=base_url, own_connections=True)


TOKEN_FAULTS = [kind for kind in FaultKind if kind not in (FaultKind.LIE_FAILED, FaultKind.WRONG_ORDER,
                                                           FaultKind.WRONG_AMOUNT)]


@EVERYWHERE
@row("F07")
def test_f07_without_a_token_nothing_is_sent_and_wrong_credentials_are_not_tried_again(bench: Bench) -> None:
    for kind in TOKEN_FAULTS:
        shop = bench.shop()
        bench.pg.fault(kind, "^POST /token$", times=100)
        with pytest.raises(PaygateError) as caught:
            shop.charge(charge(f"o-{kind.value}"))
        assert caught.value.moved is False, kind
        assert shop.row(f"o-{kind.value}").state is State.NOT_SENT
        bench.pg.faults.clear()
    assert shop.sent(CHARGES) == 0
    wrong = bench.shop(settings={"api_key": "wrong", "mode": "test"})
    asked = wrong.sent("POST /token")
    with pytest.raises(Unauthorized):
        wrong.charge(charge("o1"))
    assert wrong.sent("POST /token") == asked + 1
    assert wrong.sent(CHARGES) == 0


@EVERYWHERE
@row("F08")
def test_f08_a_token_revoked_meanwhile_is_replaced_once(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge("o0"))
    tokens = bench.pg.tokens_given
    bench.pg.valid_tokens.clear()
    assert shop.charge(charge("o1")).status == "paid"
    assert bench.pg.tokens_given == tokens + 1
    bench.pg.fault("unauthorized", CHARGES, times=100)
    sent = shop.sent(CHARGES)
    with pytest.raises(Unauthorized) as caught:
        shop.charge(charge("o2"))
    assert caught.value.moved is False
    assert shop.sent(CHARGES) == sent + 2
    assert [bench.pg.journal.charges(f"o{n}") for n in range(3)] == [1, 1, 0]


@EVERYWHERE
@row("F09")
def test_f09_many_workers_fetch_one_token_and_a_wall_clock_that_jumps_fetches_none(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge("o0"))
    bench.pg.valid_tokens.clear()
    tokens = bench.pg.tokens_given
    shop.clock.advance(3600)  # Its life is over for all of them.
    if bench.face == "sync":
        workers = [threading.Thread(target=shop.charge, args=(charge(f"w{n}"),)) for n in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    else:
        async def together() -> None:
            await asyncio.gather(*(shop.gate.charge(charge(f"w{n}")) for n in range(8)))
        shop._runner.run(together())
    assert bench.pg.tokens_given == tokens + 1
    assert sum(bench.pg.journal.charges(f"w{n}") for n in range(8)) == 8

    wall = shop.clock.now
    shop.clock.now = lambda: wall() + timedelta(days=365)
    shop.charge(charge("o9"))
    assert bench.pg.tokens_given == tokens + 1
