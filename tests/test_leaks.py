"""Canaries in every secret a gateway is given, under every fault: in no text, log, traceback or ledger byte (T12)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import pickle
import sys
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, won

from paygate import (
    BillingKey,
    Cancel,
    CancelWhole,
    Charge,
    Customer,
    DatedCharge,
    DeleteKey,
    Pay,
    PaygateError,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
)
from paygate.codec import dump
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.emulator import Call, FaultKind
from paygate.testing.fakepg import FakePG
from paygate.wire import Response

CANARIES = {
    "api key": "Kanari-api-5501", "token": "Kanari-token-5502", "billing key": "Kanari-bill-5503",
    "name": "Kanari Name 5504", "phone": "010-5505-5505", "email": "kanari5506@mail.example",
    "address": "Kanari Road 5507", "postcode": "Kanari-5508", "extra": "Kanari-extra-5509",
}


class CanaryPG(FakePG):
    """Gives tokens that can be recognised, and says in its answers what it should not."""

    def answer(self, call: Call) -> Response:
        reply = super().answer(call)
        if call.path == "/token" and reply.status == 200:
            self.valid_tokens = {CANARIES["token"]}
            return attrs.evolve(reply, body=json.dumps({"token": CANARIES["token"], "lifetime_s": 1800}).encode())
        return reply


def forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    yield base64.b64encode(raw).rstrip(b"=")
    yield json.dumps(secret)[1:-1].encode()
    if secret.replace("-", "").isdigit():
        yield secret.replace("-", "").encode()
    yield b"-".join(raw[i:i + 4] for i in range(0, len(raw), 4))


def leaks(where: str, said: str | bytes) -> list[str]:
    text = said.encode("utf-8", "surrogateescape") if isinstance(said, str) else said
    return [f"{name} in {where}: {text[max(0, text.find(form) - 200):text.find(form) + 60]!r}"
            for name, secret in CANARIES.items() for form in forms(secret) if form in text]


def printed(value: Any) -> str:
    return "\n".join([repr(value), str(value), f"{value}", f"{value!r:>5}", str([value]), str({"a": value})])


def shown(value: Any) -> str:
    """Every way in which a value of ours might be printed, stored or sent."""
    said = [printed(value), str(vars(value) if hasattr(value, "__dict__") else "")]
    if attrs.has(type(value)):
        said += [repr(attrs.asdict(value)), repr(attrs.astuple(value))]
        try:
            said.append(dump(value))
        except Exception as error:
            said.append(repr(error))
    if isinstance(value, tuple):
        said += [shown(v) for v in value]
    try:
        said.append(pickle.dumps(value).decode("latin-1"))
    except Exception as error:
        said.append(repr(error))
    try:
        said.append(json.dumps(value, default=str))
    except Exception as error:
        said.append(repr(error))
    return "\n".join(said)


def told(error: BaseException) -> str:
    """An error as a crash reporter sees it: with its chain, its notes and every local of every frame of ours."""
    said = [shown(error)]
    chain: BaseException | None = error
    while chain is not None:
        said += [str(chain.args), repr(vars(chain)), repr(getattr(chain, "__notes__", None))]
        trace = chain.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next  # The tests' own frames hold what they are looking for.
        said += traceback.TracebackException(type(chain), chain, trace, capture_locals=True, compact=True).format()
        chain = chain.__cause__ or chain.__context__
    return "\n".join(said)


CUSTOMER = Customer(id="our-own-7", name=CANARIES["name"], phone=CANARIES["phone"], email=CANARIES["email"],
                    address=CANARIES["address"], postcode=CANARIES["postcode"])
EXTRA = {"fakepg": {"note": CANARIES["extra"]}}
KEY = BillingKey("fakepg", CANARIES["billing key"])
PURCHASE: dict[str, Any] = {"title": "Tea", "return_url": "https://shop.example/back", "customer": CUSTOMER,
                            "extra": EXTRA}


def commands(shop: Shop) -> dict[str, Any]:
    due = shop.clock.now() + timedelta(days=1)
    return {
        "pay": Pay(order_id="w1", money=won(5_000), **PURCHASE),
        "register": Register(order_id="k1", money=won(5_000), **PURCHASE),
        "charge": Charge(order_id="o1", billing_key=KEY, money=won(14_000), title="Tea", customer=CUSTOMER,
                         extra=EXTRA),
        "schedule": Schedule(billing_key=KEY, customer=CUSTOMER, charges=(
            DatedCharge(order_id="s1", due_at=due, money=won(5), title="Tea", extra=EXTRA),)),
        "cancel": Cancel(cancel_id="c1", order_id="o1", money=won(4_000), reason="returned", extra=EXTRA),
        "cancel_whole": CancelWhole(cancel_id="c2", order_id="o1", reason="returned", extra=EXTRA),
        "schedules": SchedulesOf(billing_key=KEY, start=shop.clock.now(), end=due + timedelta(days=1)),
        "unschedule": Unschedule(billing_key=KEY, order_ids=("s1",)),
        "lookup_key": KEY,
        "delete_key": DeleteKey(billing_key=KEY, reason="left", force=True),
    }


def play(shop: Shop, kind: FaultKind | None, said: list[tuple[str, str]]) -> None:
    """Every verb once, each meeting the fault; whatever comes out is kept."""
    def ask(what: str, *args: Any) -> None:
        if kind is not None:
            shop.pg.fault(kind, "^(POST|GET|DELETE) /(?!token)", times=2)
        try:
            said.append((what, shown(getattr(shop, what)(*args))))
        except Exception as error:
            said.append((what, told(error)))
        shop.pg.faults.clear()

    for verb, command in commands(shop).items():
        said.append((f"the command of {verb}", printed(command)))
        ask(verb, command)
    shop.pg.payer("w1") if "w1" in shop.pg.windows else None
    ask("confirm", "w1", {"order_id": "w1", "payment_id": "p1"})
    ask("confirm_key", "k1", {"order_id": "k1"})
    ask("find", "o1")
    ask("lookup", "p1")
    ask("find_schedule", "s1")
    ask("receive", {}, b'{"order_id": "o1", "payment_id": "p1"}')
    ask("receive", {}, b"rubbish")
    for list_ in ("reconcile", "pending", "attention"):
        ask(list_)
    for id in ("o1", "w1", "s1", "c1"):
        ask("trail", id)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", [None, *FaultKind])
def test_no_secret_comes_out_of_any_call_under_any_fault(kind: FaultKind | None, face: str, tmp_path: Path,
                                                         caplog: pytest.LogCaptureFixture,
                                                         capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    pg = CanaryPG()
    pg.issue_key(CANARIES["billing key"])
    said: list[tuple[str, str]] = []
    with Shop(face, SqliteLedger(tmp_path / "ledger.db"), pg, settings={"api_key": CANARIES["api key"]}) as shop:
        play(shop, kind, said)
        account = shop.gate._account
        said += [("the gateway", shown(shop.gate)), ("its account", repr(account)),
                 ("its driver", repr(vars(shop.gate._driver))),
                 ("the provider", repr(account.provider) + repr(vars(account.provider))),
                 ("the spec", repr(account.spec))]
        written = [(f"bytes of {p.name}", p.read_bytes()) for p in sorted(tmp_path.iterdir())]
        assert len(written) == 3
    found = [leak for where, text in said for leak in leaks(where, text)]
    found += [leak for where, data in written for leak in leaks(where, data)]
    found += leaks("the log", "\n".join(f"{r.getMessage()} {r.__dict__}" for r in caplog.records))
    out, err = capfd.readouterr()
    found += leaks("stdout", out) + leaks("stderr", err)
    assert found == []
    # The canaries were really there: the PG saw them.
    if kind is None:
        arrived = b"\n".join(c.target.encode() + repr(sorted(c.headers.items())).encode() + c.body for c in pg.calls)
        assert {name for name, secret in CANARIES.items() if secret.encode() in arrived} >= {"api key", "token",
                                                                                             "billing key"}


@pytest.mark.parametrize("face", FACES)
def test_what_a_webhook_says_of_the_payer_goes_no_further(face: str, tmp_path: Path,
                                                          caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pg = CanaryPG()
    pg.issue_key(CANARIES["billing key"])
    with Shop(face, SqliteLedger(tmp_path / "ledger.db"), pg) as shop:
        shop.charge(commands(shop)["charge"])
        event = shop.receive({"authorization": CANARIES["api key"]}, json.dumps(
            {"order_id": "o1", "payment_id": "p1", "buyer": CANARIES["name"], "tel": CANARIES["phone"]}).encode())
        found = leaks("the event", shown(event)) + leaks("the log", caplog.text)
        assert found + [leak for p in tmp_path.iterdir() for leak in leaks(p.name, p.read_bytes())] == []


def test_the_scan_sees_what_it_should() -> None:
    """The checker is checked: each form of each canary is found, and a frame that holds one gives it away."""
    for name, secret in CANARIES.items():
        for form in forms(secret):
            assert leaks("here", b"..." + form + b"...")[0].startswith(name)

    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads(CANARIES["token"])
    assert leaks("frames", told(caught.value))


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, MemoryError, ZeroDivisionError])
def test_an_interrupt_or_a_bug_in_a_transport_gives_nothing_away(error: type[BaseException]) -> None:
    class Broken(httpx.BaseTransport):
        emits_trace = True

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path != "/token":
                raise error("stop")
            return httpx.Response(200, content=json.dumps({"token": CANARIES["token"], "lifetime_s": 1800}).encode(),
                                  headers={"content-type": "application/json"})

    with Shop(http=Broken(), settings={"api_key": CANARIES["api key"]}) as shop:
        with pytest.raises(BaseException) as caught:
            shop.charge(commands(shop)["charge"])
        # The transport's own frame holds the request, but a request of httpx shows no header and no body.
        assert leaks("the traceback", told(caught.value)) == []


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("change",
                         [{"status": "weird"}, {"amount": "many"}, {"given_back": 99}, {"order_id": "another"},
                          {"id": ""}])
def test_a_record_that_is_not_understood_is_not_shown_in_a_traceback(change: dict[str, Any], face: str) -> None:
    """The PG repeats the billing key in its records: what a flow was reading stays out of the error it raises."""
    class Odd(CanaryPG):
        def answer(self, call: Call) -> Response:
            reply = super().answer(call)
            said = json.loads(reply.body)
            said = [item | change for item in said["items"]] if "items" in said else said | change
            return attrs.evolve(reply, body=json.dumps({"items": said} if isinstance(said, list) else said).encode())

    pg = Odd()
    pg.issue_key(CANARIES["billing key"])
    with Shop(face, pg=pg, settings={"api_key": CANARIES["api key"]}) as shop:
        for verb in ("charge", "cancel", "find", "lookup"):
            ask = {"find": "o1", "lookup": "p1"}.get(verb) or commands(shop)[verb]
            try:
                said = shown(getattr(shop, verb)(ask))
            except PaygateError as error:
                said = told(error)
            assert leaks(verb, said) == []


def test_words_of_the_pg_stay_in_one_line_of_a_message() -> None:
    class Loud(CanaryPG):
        def _take(self, *args: Any, **kwargs: Any) -> Any:
            made = super()._take(*args, **kwargs)
            made["message"] = "no\nfunds\x1b[31m\r\nERROR root: hacked"
            return made

    pg = Loud()
    pg.issue_key(CANARIES["billing key"])
    with Shop(pg=pg) as shop:
        with pytest.raises(PaygateError) as caught:
            shop.charge(Charge(order_id="o1", billing_key=KEY, money=won(101), title="Tea"))
        assert caught.value.message is not None
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "\n" not in repr(caught.value)
