"""The stub PG of the benchmarks, in a process of its own: a 2.2 KB payment for every request, over TCP or TLS.

Run by the benchmarks, not by hand. Prints its ports, then serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType

ORDER, AMOUNT = "order-0123456789abcdef", 14_000
PAYMENT = {
    "code": 0, "message": None,
    "response": {
        **{f"field_{n:02}": f"value {n} 네이버페이 포인트" for n in range(24)},
        "imp_uid": "imps_012345678901", "merchant_uid": ORDER, "amount": AMOUNT, "cancel_amount": 0, "currency": "KRW",
        "status": "paid", "sandbox": True, "pay_method": "card", "channel": "api", "started_at": 1_767_225_600,
        "paid_at": 1_767_225_600, "failed_at": 0, "cancelled_at": 0, "fail_reason": None, "cancel_reason": None,
        "buyer_name": None, "customer_uid": "key-1", "customer_uid_usage": "payment", "cancel_history": [],
        "receipt_url": "https://pg.example/receipts/0123456789",
    },
}
BODY = json.dumps(PAYMENT, ensure_ascii=False).encode()
TOKEN = json.dumps({"code": 0, "message": None, "response": {
    "access_token": "0123456789abcdef" * 2, "now": 1_767_225_600, "expired_at": 1_767_227_400}}).encode()


def _answer(head: bytes, sent: bytes) -> bytes:
    """The payment, under the order that was asked for, or a token."""
    body = BODY
    if b"getToken" in head:
        body = TOKEN
    elif (found := re.search(rb'"merchant_uid":\s*"([^"]+)"', sent)) is not None:
        body = BODY.replace(ORDER.encode(), found[1]).replace(b"imps_012345678901", b"imps_" + found[1][-12:])
    return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body))


class _Peer(asyncio.Protocol):
    latency_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            lower = head.lower()
            mark = lower.find(b"content-length: ")
            length = int(lower[mark + 16:].split(b"\r\n", 1)[0]) if mark >= 0 else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            answer, is_last = _answer(head, rest[:length]), b"connection: close" in lower
            if self.latency_s:
                asyncio.get_running_loop().call_later(self.latency_s, self._say, answer, is_last)
            else:
                self._say(answer, is_last)

    def _say(self, answer: bytes, is_last: bool) -> None:
        self._transport.write(answer)
        if is_last:
            self._transport.close()


async def _serve(certificate: str, latency_s: float) -> None:
    _Peer.latency_s = latency_s
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = await loop.create_server(_Peer, "127.0.0.1", 0, backlog=1024)
    secure = await loop.create_server(_Peer, "127.0.0.1", 0, backlog=1024, ssl=context)
    print(*(server.sockets[0].getsockname()[1] for server in (plain, secure)), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class Stub(AbstractContextManager["Stub"]):
    """`with Stub() as stub:` gives `plain` and `secure` base URLs, and `tls`, a context that trusts the stub.

    It answers each request after `latency_s`. `trusted` is the file with the authority of its certificate.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s

    def __enter__(self) -> Stub:
        import trustme

        authority = trustme.CA()
        self._folder = tempfile.TemporaryDirectory()
        certificate = Path(self._folder.name) / "stub.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        self.trusted = str(Path(self._folder.name) / "authority.pem")
        authority.cert_pem.write_to_path(self.trusted)
        self.tls = ssl.create_default_context()
        authority.configure_trust(self.tls)
        self._process = Popen([sys.executable, __file__, str(certificate), str(self.latency_s)], stdin=PIPE,
                              stdout=PIPE, text=True)
        assert self._process.stdout is not None
        plain, secure = self._process.stdout.readline().split()
        self.plain, self.secure = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.communicate("")
        self._folder.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
