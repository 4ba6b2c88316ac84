"""Webhooks under hostility, in each framework: what an attacker can make us do, and what a webhook costs beside a bare
handler of the same framework in the same run.

The server runs in a process of its own: uvicorn for ASGI, werkzeug's threads for Django and Flask. "memory" is that
process's resident memory, before and after. A look-up is a request to the PG that a webhook has caused.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from _site import FRAMEWORKS, Site
from transport import Times, paired

PER_S = 5.0
BARE = b"POST /bare HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n"
HOOK = b"POST /pay/webhooks/fakepg HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n"
COUNT = itertools.count()


def hook(order_id: str, payment_id: str) -> bytes:
    return json.dumps({"order_id": order_id, "payment_id": payment_id}).encode()


def forged() -> bytes:
    """Another one each time: of an unknown order, of an open one, about a payment that is another order's."""
    number = next(COUNT)
    return (hook("nothing", f"p9{number}"), hook("open", f"p9{number}"), hook("open", "p1"))[number % 3]


def request(body: bytes, head: bytes = HOOK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


# Cost beside a bare handler, without sockets

def cost(framework: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(framework, folder)
        call = _caller(framework, site.app)
        denied, true = hook("nothing", "p999"), hook("paid", "p1")
        hooks = "/pay/webhooks/fakepg"

        def against_bare(name: str, calls: int, do: Callable[[], int]) -> None:
            row(f"{framework}: {name}", paired(lambda n: _times(n, lambda: call("/bare", denied)),
                                               lambda n: _times(n, do), calls, 9))

        call(hooks, denied)
        against_bare("unreadable", 100 * size, lambda: call(hooks, b"{"))
        against_bare("denied just now", 100 * size, lambda: call(hooks, denied))
        against_bare("forged, over the rate", 100 * size, lambda: call(hooks, forged()))
        site.inbox._lookups["fakepg"]._bucket.rate = 1e9
        against_bare("true, looked up, told before", 20 * size, lambda: call(hooks, true))


def _times(calls: int, do: Callable[[], Any]) -> None:
    for _ in range(calls):
        do()


def row(name: str, pairs: list[tuple[Times, Times]]) -> None:
    ratio = [ours[0] / plain[0] for plain, ours in pairs]
    low, middle, high = statistics.quantiles(ratio, n=4)
    theirs, mine = (1 / statistics.median(p[n][1] for p in pairs) for n in (0, 1))
    print(f"{name:<40} {middle:5.2f} [{low:4.2f} {high:4.2f}]  {mine:8,.0f}/s  {theirs:8,.0f}/s", flush=True)


def _caller(framework: str, app: Any) -> Callable[[str, bytes], int]:
    if framework == "asgi":
        runner = asyncio.Runner()
        return lambda path, body: runner.run(_over_asgi(app, path, body))
    return lambda path, body: _over_wsgi(app, path, body)


async def _over_asgi(app: Any, path: str, body: bytes) -> int:
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    await app({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
               "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": ("s", 80),
               "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
               "client": ("c", 1)}, receive, send)
    return int(said[0]["status"])


def _over_wsgi(app: Any, path: str, body: bytes) -> int:
    said: list[str] = []
    environ = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "s",
               "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
               "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
               "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
               "HTTP_HOST": "shop.example"}
    out = app(environ, lambda status, headers, error=None: said.append(status) or (lambda _: None))
    b"".join(out)
    if hasattr(out, "close"):
        out.close()
    return int(said[0][:3])


# Hostility, over sockets

class Server:
    """benchmarks/_site.py in a process of its own."""

    def __init__(self, framework: str) -> None:
        self._process = Popen([sys.executable, str(Path(__file__).with_name("_site.py")), framework], stdout=PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    async def figures(self) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /figures HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        whole = await reader.read()
        writer.close()
        return json.loads(whole[whole.index(b"{"):whole.rindex(b"}") + 1])  # type: ignore[no-any-return]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


async def answered(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of the next answer, and whether the server closes the connection after it."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    await reader.readexactly(length)
    return int(head[9:12]), b"connection: close" in head.lower()


async def kept(server: Server, bodies: list[bytes], said: Counter[str], head: bytes = HOOK) -> None:
    """One connection that posts one webhook after another; a new one where the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for body in bodies:
        writer.write(request(body, head))
        status, is_over = await answered(reader)
        said[str(status)] += 1
        if is_over:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()


async def once(server: Server, pieces: list[bytes], every_s: float, said: Counter[str]) -> None:
    """One connection that sends its pieces slowly, and hears what is said to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    hearing = asyncio.create_task(asyncio.wait_for(answered(reader), 30))
    try:
        for piece in pieces:
            if hearing.done():
                break
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)
        said[str((await hearing)[0])] += 1
    except (OSError, asyncio.IncompleteReadError):
        said["closed"] += 1
    except TimeoutError:
        said["no answer"] += 1
    finally:
        hearing.cancel()
        writer.close()


async def hostility(framework: str, forgeries: int) -> None:
    server = Server(framework)
    try:
        await attack(server, "warm", [[forged() for _ in range(50)] for _ in range(4)])
        before = server.memory_mib()
        print(f"\n{framework}: memory {before:.0f} MiB, {await server.figures()}")
        bodies = [forged() for _ in range(forgeries)]
        await attack(server, f"{forgeries // 5:,} at a bare handler", [bodies[n:forgeries // 5:20] for n in range(20)],
                     BARE)
        await attack(server, f"{forgeries:,} forged", [bodies[n::20] for n in range(20)])
        same = hook("open", "p1")
        await attack(server, f"{forgeries:,} more", [[forged() for _ in bodies[n::20]] for n in range(20)])
        await attack(server, f"{forgeries // 5:,} times one forgery", [[same] * (forgeries // 100) for _ in range(20)])
        drip = [HOOK + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 40]
        await crowd(server, "100 bodies, a byte each half second", drip, 0.5, 100)
        chunk = b"%x\r\n" % 8192 + b"x" * 8192 + b"\r\n"
        await crowd(server, "200 endless bodies without a length",
                    [HOOK + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40], 0.0, 200)
        long = [HOOK + b"Content-Length: 10000000\r\n\r\n", *[b"x" * 8192] * 20]
        await crowd(server, "200 bodies that say 10 MB", long, 0.0, 200)
        true: Counter[str] = Counter()
        await kept(server, [hook("paid", "p1")], true)
        figures, after = await server.figures(), server.memory_mib()
        print(f"  {'one true webhook':<38} {dict(true)}, {figures}")
        print(f"  {'memory':<38} {before:.0f} → {after:.0f} MiB ({after - before:+.1f})")
    finally:
        server.end()


async def attack(server: Server, name: str, crowds: list[list[bytes]], head: bytes = HOOK) -> None:
    said: Counter[str] = Counter()
    asked, began = (await server.figures())["lookups"], time.perf_counter()
    await asyncio.gather(*(kept(server, bodies, said, head) for bodies in crowds))
    await told(server, name, said, asked, time.perf_counter() - began)


async def crowd(server: Server, name: str, pieces: list[bytes], every_s: float, many: int) -> None:
    said: Counter[str] = Counter()
    asked, began = (await server.figures())["lookups"], time.perf_counter()
    await asyncio.gather(*(once(server, pieces, every_s, said) for _ in range(many)))
    await told(server, name, said, asked, time.perf_counter() - began)


async def told(server: Server, name: str, said: Counter[str], asked: int, seconds: float) -> None:
    if name == "warm":
        return
    lookups = (await server.figures())["lookups"] - asked
    allowed = PER_S * (seconds + 1)  # It may begin with what a second brings.
    verdict = "" if lookups <= allowed else "  MISSED: more than the rate allows"
    answers = ", ".join(f"{word}: {count:,}" for word, count in sorted(said.items()))
    print(f"  {name:<38} {seconds:6.1f} s  {sum(said.values()) / seconds:7,.0f}/s  look-ups {lookups} "
          f"(at most {allowed:.0f}){verdict}  {server.memory_mib():.0f} MiB  {answers}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1.0, help="0.1 for a quick look")
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append")
    given = parser.parse_args()
    frameworks = given.framework or list(FRAMEWORKS)
    print(f"{'one webhook, of a bare handler':<40} {'CPU [quartiles]':<18} {'ours':>9}  {'bare':>9}")
    for framework in frameworks:
        cost(framework, max(1, int(given.size)))
    for framework in frameworks:
        asyncio.run(hostility(framework, int(10_000 * given.size)))


if __name__ == "__main__":
    main()
