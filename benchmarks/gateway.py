"""What a verb costs through a gateway, typed result and ledger included, beside plain httpx asking for the same."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from _stub import AMOUNT, Stub
from transport import paired, row

from paygate import AsyncGateway, BillingKey, Charge, Gateway, Ledger, MemoryLedger, Money, connect, connect_async
from paygate.ledger.sqlite import SqliteLedger

SETTINGS = {"imp_key": "key", "imp_secret": "secret", "merchant_code": "imp00000000", "channel_key": "channel"}
HEADERS = {"Authorization": "Bearer 0123456789abcdef", "Accept": "application/json"}
KEY = BillingKey("portone-naverpay", "key-1")
ROUND = itertools.count(100_000_000_000)


def command() -> Charge:
    return Charge(order_id=f"order-{next(ROUND)}", billing_key=KEY, money=Money(AMOUNT, "KRW"), title="Slim plan")


def body() -> dict[str, Any]:
    return {"customer_uid": "key-1", "merchant_uid": f"order-{next(ROUND)}", "amount": AMOUNT, "currency": "KRW",
            "name": "Slim plan"}


def connected(stub: Stub, ledger: Ledger) -> Gateway:
    return connect("portone-naverpay", SETTINGS, ledger=ledger, base_url=stub.secure, tls=stub.tls)


def lookups(stub: Stub, size: int) -> None:
    gate = connect("portone-naverpay", SETTINGS, ledger=MemoryLedger(), base_url=stub.plain)
    client = httpx.Client(trust_env=False)

    def plain(calls: int) -> None:
        for _ in range(calls):
            reply = client.get(f"{stub.plain}/payments/imps_012345678901?include_sandbox=true", headers=HEADERS)
            json.loads(reply.content)

    def ours(calls: int) -> None:
        for _ in range(calls):
            gate.lookup("imps_012345678901")

    row("lookup, kept alive", "<= 1.00, then 0.90", paired(plain, ours, 30 * size, 15))
    client.close()
    gate.close()


def charges(stub: Stub, size: int, name: str, target: str, ledger: Ledger) -> None:
    gate, limits = connected(stub, ledger), httpx.Limits(max_keepalive_connections=0)
    client = httpx.Client(trust_env=False, verify=stub.tls, limits=limits)

    def plain(calls: int) -> None:
        for _ in range(calls):
            json.loads(client.post(f"{stub.secure}/subscribe/payments/again", headers=HEADERS, json=body()).content)

    def ours(calls: int) -> None:
        for _ in range(calls):
            gate.charge(command())

    row(name, target, paired(plain, ours, 6 * size, 15))
    client.close()
    gate.close()


def in_loop(stub: Stub, size: int) -> None:
    """The same two verbs through AsyncGateway, one at a time."""
    with asyncio.Runner() as runner:
        limits = httpx.Limits(max_keepalive_connections=0)
        kept = httpx.AsyncClient(trust_env=False)
        fresh = httpx.AsyncClient(trust_env=False, verify=stub.tls, limits=limits)
        reader = connect_async("portone-naverpay", SETTINGS, ledger=MemoryLedger(), base_url=stub.plain)
        payer = connect_async("portone-naverpay", SETTINGS, ledger=MemoryLedger(), base_url=stub.secure, tls=stub.tls)

        async def ask(calls: int) -> None:
            for _ in range(calls):
                reply = await kept.get(f"{stub.plain}/payments/imps_012345678901?include_sandbox=true", headers=HEADERS)
                json.loads(reply.content)

        async def post(calls: int) -> None:
            for _ in range(calls):
                reply = await fresh.post(f"{stub.secure}/subscribe/payments/again", headers=HEADERS, json=body())
                json.loads(reply.content)

        async def lookup(gate: AsyncGateway, calls: int) -> None:
            for _ in range(calls):
                await gate.lookup("imps_012345678901")

        async def charge(gate: AsyncGateway, calls: int) -> None:
            for _ in range(calls):
                await gate.charge(command())

        row("async lookup, kept alive", "<= 1.05, then 0.50",
            paired(lambda n: runner.run(ask(n)), lambda n: runner.run(lookup(reader, n)), 30 * size, 11))
        row("async charge, a TLS connection of its own", "<= 1.05, then 1.00",
            paired(lambda n: runner.run(post(n)), lambda n: runner.run(charge(payer, n)), 6 * size, 11))
        for closing in (kept.aclose(), fresh.aclose(), reader.close(), payer.close()):
            runner.run(closing)


def ledger_alone(stub: Stub, size: int, folder: Path) -> None:
    """What the SQLite ledger adds to a charge, beside its two durable commits alone (wall time counts here)."""
    with_memory, with_file = connected(stub, MemoryLedger()), connected(stub, SqliteLedger(folder / "charges.db"))
    bare = _commits(folder / "bare.db")

    def blocks(calls: int, gate: Gateway) -> None:
        for _ in range(calls):
            gate.charge(command())

    pairs = paired(lambda n: _both(n, with_memory, bare), lambda n: blocks(n, with_file), 6 * size, 11)
    row("charge on SQLite, of charge + 2 bare commits", "<= 1.25, then 1.10", pairs)
    with_memory.close()
    with_file.close()


def _commits(path: Path) -> Iterator[None]:
    """Two bare durable commits per step: an insert and an update of one row."""
    import sqlite3

    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    for id in itertools.count():
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?, ?)", (id, "x" * 300))
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE t SET text = ? WHERE id = ?", ("y" * 600, id))
        db.execute("COMMIT")
        yield


def _both(calls: int, gate: Gateway, bare: Iterator[None]) -> None:
    for _ in range(calls):
        gate.charge(command())
        next(bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4, help="calls per block, relative to a quick run (1)")
    size: int = parser.parse_args().size
    with Stub() as stub, tempfile.TemporaryDirectory() as folder:
        print(f"ratio to httpx {httpx.__version__} and json.loads: median [quartiles]")
        print(f"{'':<44} {'CPU':<17}  {'wall':<17}  us/call  target (CPU)")
        lookups(stub, size)
        charges(stub, size, "charge, memory ledger", "<= 1.05, then 1.00", MemoryLedger())
        charges(stub, size, "charge, SQLite ledger", "(for comparison)", SqliteLedger(Path(folder) / "ledger.db"))
        ledger_alone(stub, size, Path(folder))
        in_loop(stub, size)


if __name__ == "__main__":
    main()
