"""A billing run: `paygate worker`'s loop, with its ledger, beside a bare aiohttp client that posts the same requests.

Three processes: the stub PG, which answers after 300 ms, and the two clients, which take turns. Both open a connection
of its own for each charge. Ratios within one run; CPU of one charge is what the client's process used, all its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import ssl
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from subprocess import PIPE, Popen
from typing import Any

from _stub import AMOUNT, Stub

SETTINGS = {"imp_key": "key", "imp_secret": "secret", "merchant_code": "imp00000000", "channel_key": "channel"}
HEADERS = {"Authorization": "Bearer 0123456789abcdef", "Accept": "application/json"}
LATENCY_S = 0.3
BATCH = 500
BARS = {("memory", 200): 0.95, ("SQLite", 200): 0.90, ("memory", 1000): 0.75, ("SQLite", 1000): 0.75}


class Ahead:
    """The machine's clocks, the wall clock turned forward at will: so that what was scheduled is due at once."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def monotonic(self) -> float:
        return time.monotonic()


class Worker:
    """What `paygate worker` does, on a ledger of its own."""

    def __init__(self, kind: str, folder: str, base_url: str, tls: ssl.SSLContext | None) -> None:
        from paygate import KeyVault, MemoryLedger, connect_async, new_vault_key
        from paygate.assemble import open_store

        self.clock = Ahead()
        ledger: Any = MemoryLedger() if kind == "memory" else open_store(Path(folder) / "ledger.db")
        self.gate = connect_async("portone-naverpay", SETTINGS, ledger=ledger, base_url=base_url, clock=self.clock,
                                  vault=KeyVault(new_vault_key()), tls=tls)
        self.ledger, self.made = ledger, 0

    async def prepare(self, charges: int) -> None:
        """Write them down, and let them become due."""
        from paygate import BillingKey, DatedCharge, Money, Schedule

        key, money = BillingKey("portone-naverpay", "key-1"), Money(AMOUNT, "KRW")
        due_at = self.clock.now() + timedelta(hours=1)
        for first in range(self.made, self.made + charges, BATCH):
            await self.gate.schedule(Schedule(billing_key=key, run_by="paygate", charges=[
                DatedCharge(order_id=f"order-{n:012}", due_at=due_at, money=money, title="Slim plan")
                for n in range(first, min(first + BATCH, self.made + charges))]))
        self.made += charges
        self.clock.by += timedelta(hours=2)

    async def play(self, charges: int, concurrent: int) -> None:
        """Drain them, `concurrent` at a time."""
        from paygate.workers.loop import work

        tally = await work(self.gate, concurrent=concurrent, until_empty=True)
        assert (tally.taken_up, tally.paid) == (charges, charges), tally

    async def close(self) -> None:
        await self.gate.close()
        self.ledger.close()


class Bare:
    """aiohttp alone: no ledger, and an answer is only decoded."""

    def __init__(self, base_url: str, tls: ssl.SSLContext | None) -> None:
        self.url, self.tls, self.made = f"{base_url}/subscribe/payments/again", tls, 0

    async def prepare(self, charges: int) -> None:
        """Nothing is written down."""

    async def play(self, charges: int, concurrent: int) -> None:
        """Post them, `concurrent` at a time."""
        import aiohttp

        connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=self.tls or False)
        async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as client:
            waiting = iter(range(self.made, self.made + charges))
            self.made += charges

            async def lane() -> None:
                for n in waiting:
                    body = {"customer_uid": "key-1", "merchant_uid": f"order-{n:012}", "amount": AMOUNT,
                            "currency": "KRW", "name": "Slim plan"}
                    async with client.post(self.url, json=body) as reply:
                        said = json.loads(await reply.read())
                        assert said["response"]["merchant_uid"] == body["merchant_uid"]

            await asyncio.gather(*[lane() for _ in range(concurrent)])

    async def close(self) -> None:
        """Nothing is open."""


async def played(kind: str, base_url: str, certificate: str, folder: str) -> None:
    """In a client's process: a line of standard input is a turn, and its figures are a line of standard output."""
    tls = None if not certificate else ssl.create_default_context(cafile=certificate)
    player = Bare(base_url, tls) if kind == "aiohttp" else Worker(kind, folder, base_url, tls)
    while line := await asyncio.to_thread(sys.stdin.readline):
        charges, concurrent = map(int, line.split())
        await player.prepare(charges)
        gc.collect()
        began, cpu = time.perf_counter(), time.process_time()
        await player.play(charges, concurrent)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(json.dumps({"per_s": charges / took, "cpu_ms": cpu / charges * 1000, "mib": _memory_mib()}), flush=True)
    await player.close()


def _memory_mib() -> float:
    """Resident memory of this process now; where the system does not tell, the most it ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


class Client:
    """A client in a process of its own."""

    def __init__(self, kind: str, base_url: str, certificate: str, folder: str) -> None:
        self._process = Popen([sys.executable, __file__, "--play", kind, base_url, certificate, folder], stdin=PIPE,
                              stdout=PIPE, text=True)

    def turn(self, charges: int, concurrent: int) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{charges} {concurrent}\n")
        self._process.stdin.flush()
        said: dict[str, float] = json.loads(self._process.stdout.readline())
        return said

    def close(self) -> None:
        self._process.communicate("")


def spread(values: list[float], digits: int = 2) -> str:
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} [{low:.{digits}f} {high:.{digits}f}]"


def compare(stub: Stub, *, secure: bool, kinds: list[str], concurrent: list[int], rounds: int, seconds: float) -> None:
    base_url, certificate = (stub.secure, stub.trusted) if secure else (stub.plain, "")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        clients = {}
        for kind in ("aiohttp", *kinds):
            clients[kind] = Client(kind, base_url, certificate, folder)
            stack.callback(clients[kind].close)
            clients[kind].turn(200, 20)
        for at_once in concurrent:
            charges = int(at_once / LATENCY_S * seconds)
            turns: dict[str, list[dict[str, float]]] = {kind: [] for kind in clients}
            for _ in range(rounds):
                for kind, client in clients.items():
                    turns[kind].append(client.turn(charges, at_once))
            bare = turns.pop("aiohttp")
            ideal = spread([turn["per_s"] / (at_once / LATENCY_S) for turn in bare])
            print(f"{'TLS' if secure else 'TCP'} {at_once:>5} at a time  aiohttp {ideal} of what latency allows, "
                  f"CPU {spread([turn['cpu_ms'] for turn in bare])} ms", flush=True)
            for kind, ours in turns.items():
                rates = [turn["per_s"] / other["per_s"] for turn, other in zip(ours, bare, strict=True)]
                bar = BARS.get((kind, at_once))
                print(f"{'':>20}  paygate, {kind}: {spread(rates)} of aiohttp's rate, "
                      f"CPU {spread([turn['cpu_ms'] for turn in ours])} ms"
                      f"{'' if bar is None else f'  (bar {bar:.2f})'}", flush=True)


def flat(stub: Stub, charges: int) -> None:
    """Whether memory grows while one process drains: resident memory after each tenth."""
    with tempfile.TemporaryDirectory() as folder:
        client = Client("SQLite", stub.plain, "", folder)
        seen = [client.turn(max(200, charges // 10), 200)["mib"] for _ in range(10)]
        client.close()
    print(f"memory of a worker, SQLite, after each {charges // 10:,} of {charges:,} charges, MiB: "
          f"{' '.join(f'{mib:.0f}' for mib in seen)}; the last of the second {seen[-1] / seen[1]:.2f}")


def main() -> None:
    if sys.argv[1:2] == ["--play"]:
        asyncio.run(played(*sys.argv[2:6]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each client")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long a turn takes a client without any cost")
    parser.add_argument("--concurrent", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--kinds", nargs="+", default=["memory", "SQLite"])
    parser.add_argument("--over", nargs="+", default=["TCP", "TLS"], choices=["TCP", "TLS"])
    parser.add_argument("--flat", type=int, default=0, metavar="N", help="drain N charges, and print the memory")
    asked = parser.parse_args()
    if asked.rounds == 1:
        parser.error("a median needs two rounds or more; --rounds 0 leaves the comparison out")
    if asked.rounds and find_spec("aiohttp") is None:
        asked.rounds = 0
        print("aiohttp is not installed, so there is nothing to compare with: pip install aiohttp")
    with Stub(latency_s=LATENCY_S) as stub:
        for over in asked.over if asked.rounds else ():
            compare(stub, secure=over == "TLS", kinds=asked.kinds, concurrent=asked.concurrent, rounds=asked.rounds,
                    seconds=asked.seconds)
        if asked.flat:
            flat(stub, asked.flat)


if __name__ == "__main__":
    main()
