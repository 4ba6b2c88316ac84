"""What the door to HTTP costs beside plain httpx: CPU and wall time, as ratios of paired blocks in one process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from _stub import BODY, Stub

from paygate.clock import Deadline, SystemClock
from paygate.codec import read_json
from paygate.secret import Secret
from paygate.transport import AsyncDoor, Door
from paygate.wire import Request, Token, path

CLOCK = SystemClock()
HEADERS = {"Authorization": "Bearer 0123456789abcdef", "Accept": "application/json"}
TOKEN = Token(headers={"Authorization": Secret("Bearer 0123456789abcdef")}, lifetime_s=600)
CHARGE: dict[str, Any] = {"order_id": "order-0123456789abcdef", "amount": 14_000, "name": "정기결제", "currency": "KRW"}
Block = Callable[[int], None]
Times = tuple[float, float]


def measured(block: Block, calls: int) -> Times:
    """CPU and wall seconds of one call, in a block of `calls`."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    block(calls)
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def paired(plain: Block, ours: Block, calls: int, pairs: int) -> list[tuple[Times, Times]]:
    """Blocks of both in turn; which goes first alternates, so that a slow moment hits both alike."""
    plain(max(3, calls // 5))
    ours(max(3, calls // 5))
    made = []
    for number in range(pairs):
        if number % 2:
            second = measured(ours, calls)
            made.append((measured(plain, calls), second))
        else:
            made.append((measured(plain, calls), measured(ours, calls)))
    return made


def row(name: str, target: str, pairs: list[tuple[Times, Times]]) -> None:
    """Print one line of the table."""
    cpu, wall = ([ours[n] / plain[n] for plain, ours in pairs] for n in (0, 1))
    each = statistics.median(ours[0] for _, ours in pairs) * 1e6
    print(f"{name:<44} {_spread(cpu)}  {_spread(wall)}  {each:7.0f}  {target}", flush=True)


def _spread(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:5.2f} [{low:4.2f} {high:4.2f}]"


def soon() -> Deadline:
    return Deadline.after(CLOCK, 60)


def reads(stub: Stub, size: int) -> None:
    client, door = httpx.Client(trust_env=False), Door(stub.plain)

    def plain(calls: int) -> None:
        for _ in range(calls):
            json.loads(client.get(f"{stub.plain}/payments/pay_0123456789", headers=HEADERS).content)

    def ours(calls: int) -> None:
        for _ in range(calls):
            read_json(door.send(Request("GET", path("/payments/{}", "pay_0123456789")), TOKEN, soon()).body)

    row("look-up, kept alive", "<= 1.00, then 0.90", paired(plain, ours, 40 * size, 21))
    client.close()
    door.close()


def charges(stub: Stub, size: int) -> None:
    limits = httpx.Limits(max_keepalive_connections=0)
    client, door = httpx.Client(trust_env=False, verify=stub.tls, limits=limits), Door(stub.secure, tls=stub.tls)

    def plain(calls: int) -> None:
        for _ in range(calls):
            json.loads(client.post(f"{stub.secure}/payments", headers=HEADERS, json=CHARGE).content)

    def ours(calls: int) -> None:
        for _ in range(calls):
            read_json(door.send(Request("POST", path("/payments"), json=CHARGE), TOKEN, soon()).body)

    row("charge, a TLS connection of its own", "<= 1.05, then 1.00", paired(plain, ours, 6 * size, 21))
    client.close()
    door.close()


async def in_flight(calls: int, workers: int, one: Callable[[], Awaitable[object]]) -> None:
    """Make `calls` calls, `workers` at a time."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(work() for _ in range(workers)))


def many(stub: Stub, size: int, workers: int, target: str, *, kept: bool = False) -> None:
    with asyncio.Runner() as runner:
        most, idle = (None, None) if kept else (100, 20)  # the second pair is what httpx does by itself
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=idle)
        client, door = httpx.AsyncClient(trust_env=False, limits=limits, timeout=60), AsyncDoor(stub.plain)

        async def plain_one() -> None:
            json.loads((await client.get(f"{stub.plain}/payments/pay_0123456789", headers=HEADERS)).content)

        async def our_one() -> None:
            read_json((await door.send(Request("GET", path("/payments/{}", "pay_0123456789")), TOKEN, soon())).body)

        def plain(calls: int) -> None:
            runner.run(in_flight(calls, workers, plain_one))

        def ours(calls: int) -> None:
            runner.run(in_flight(calls, workers, our_one))

        name = f"async look-up, {workers} in flight" + (", httpx keeps all" if kept else "")
        row(name, target, paired(plain, ours, max(20 * size, 2 * workers), 9))
        runner.run(client.aclose())
        runner.run(door.close())


def growth(stub: Stub, size: int, few: int, lots: int) -> None:
    """How the CPU of one call grows with how many are in flight: 0 is not at all, 1 is in proportion."""
    with asyncio.Runner() as runner:
        door = AsyncDoor(stub.plain)

        async def one() -> None:
            read_json((await door.send(Request("GET", path("/payments/{}", "pay_0123456789")), TOKEN, soon())).body)

        def block(workers: int) -> float:
            calls = max(20 * size, 3 * workers)
            return measured(lambda n: runner.run(in_flight(n, workers, one)), calls)[0]

        block(lots)
        exponents = [math.log(block(lots) / block(few)) / math.log(lots / few) for _ in range(7)]
        runner.run(door.close())
    print(f"{f'CPU of a call, {few} -> {lots} in flight, exponent':<44} {_spread(exponents)}{'':27}<= 0.20, then 0.05")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=5, help="calls per block, relative to a quick run (1)")
    size: int = parser.parse_args().size
    with Stub() as stub:
        print(f"answers of {len(BODY)} bytes; ratio to httpx {httpx.__version__}: median [quartiles]")
        print(f"{'':<44} {'CPU':<17}  {'wall':<17}  us/call  target (CPU)")
        reads(stub, size)
        charges(stub, size)
        many(stub, size, 1, "<= 1.05, then 0.50")
        many(stub, size, 10, "<= 1.05, then 0.40")
        many(stub, size, 100, "<= 0.10, then 0.05")
        many(stub, size, 100, "(for comparison)", kept=True)
        growth(stub, size, 10, 400)


if __name__ == "__main__":
    main()
