"""Secrets and personal data come out nowhere: not in values, errors, logs, output, the ledger's bytes or pickles."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
from attrs import evolve

from ....capability import Capability
from ....codec import dump, settings_from
from ....commands import Customer
from ....errors import PaygateError
from ....ledger.sqlite import SqliteLedger
from ....provider import Provider
from ....secret import Secret, reveal_all
from ..acts import acts_of
from ..bench import Bench
from ..registry import SYNC, check
from ..tape import recorded
from ..told import Broke, NotHere, expect
from ..troubles import CASES
from ..verbs import verbs

C = Capability
_USUAL = {"host", "accept", "accept-encoding", "accept-language", "user-agent", "connection", "content-type",
          "content-length", "idempotency-key"}
"""Headers that authenticate nobody."""
PERSON = {"name": "Kanari Kim", "phone": "010-5505-5505", "email": "kanari5506@mail.example",
          "address": "Kanari-ro 5507", "postcode": "K5508"}
UNDER = ("nothing", "drop_after", "html_after", "wrong_order", "wrong_amount", "lie_failed", "unauthorized",
         "truncate_after", "failed", "code", "pending", "used")
"""What comes over each call: nothing, trouble, or the PG's own no."""


def credentials(bench: Bench) -> dict[str, str]:
    """Settings that authenticate: they were seen in a header, or they are secret and were seen in a body."""
    texts = {k: v for k, v in bench.subject.settings(bench.pg).items() if isinstance(v, str) and len(v) >= 6}
    heads = [_plain(v) for s in bench.sent() for n, v in s.call.headers.items() if n not in _USUAL]
    bodies = [s.call.body.decode("utf-8", "replace") for s in bench.sent()]
    made = settings_from(bench.subject.spec.settings, bench.subject.settings(bench.pg), bench.subject.name)
    secret = {f.name for f in attrs.fields(bench.subject.spec.settings) if isinstance(getattr(made, f.name), Secret)}
    if type(bench.provider).token is not Provider.token:
        tape = recorded(bench, bench.provider.token)
        asked = "".join(str(reveal_all(r.json)) for r in tape.requests)
        secret |= {k for k, v in texts.items() if v in asked}
    return {k: v for k, v in texts.items()
            if any(v in h for h in heads) or (k in secret and any(v in b for b in bodies))}


def _plain(header: str) -> str:
    """A header's value; of HTTP Basic the user and the password, which are only encoded."""
    kind, _, said = header.partition(" ")
    try:
        return base64.b64decode(said, validate=True).decode() if kind.lower() == "basic" else header
    except ValueError:
        return header


def tokens(bench: Bench) -> dict[str, str]:
    """What was sent in headers to authenticate."""
    return {f"header {name}": value for s in bench.sent() for name, value in s.call.headers.items()
            if name not in _USUAL and len(value) >= 8}


def _forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    yield base64.b64encode(raw).rstrip(b"=")
    yield json.dumps(secret)[1:-1].encode()


def _leaks(where: str, said: str | bytes, canaries: dict[str, str]) -> list[str]:
    text = said.encode("utf-8", "surrogateescape") if isinstance(said, str) else said
    return [f"{name} is in {where}" for name, secret in canaries.items() if any(f in text for f in _forms(secret))]


def shown(value: Any) -> str:
    """Every way in which a value might be printed, stored or sent."""
    said = [repr(value), str(value), f"{value}", str([value]), str(getattr(value, "__dict__", ""))]
    for way in (_as_dict, dump, _pickled, _as_json):
        try:
            said.append(str(way(value)))
        except Exception as error:
            said.append(repr(error))
    return "\n".join(said)


def _as_dict(value: Any) -> str:
    return repr(attrs.asdict(value)) if attrs.has(type(value)) else ""


def _pickled(value: Any) -> str:
    return pickle.dumps(value).decode("latin-1")


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str)


def _raised(error: BaseException) -> str:
    """An error as a crash reporter sees it: with its chain, its notes and the locals of every frame but the kit's."""
    said = [shown(error), str(error.args), repr(getattr(error, "__notes__", None))]
    trace = error.__traceback__
    while trace is not None and "/testing/contract/" in trace.tb_frame.f_code.co_filename.replace("\\", "/"):
        trace = trace.tb_next
    said += traceback.TracebackException(type(error), error, trace, capture_locals=True, compact=True).format()
    return "\n".join(said)


def _customer(bench: Bench, command: Any) -> Customer:
    """A payer of canaries, as far as this PG takes them."""
    made: Customer = command.customer
    for name, text in PERSON.items():
        tried = evolve(made, **{name: text})
        try:
            bench.provider.check(evolve(command, customer=tried))
        except PaygateError:
            continue
        made = tried
    return made


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.getMessage()} {record.args} {record.exc_text} {record.__dict__.get('extra')}")


def _overheard(walk: Callable[[], None]) -> str:
    """What a walk wrote to the log, to stdout and to stderr, and what it warned of."""
    handler, root, out = _Log(), logging.getLogger(), StringIO()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(out), redirect_stderr(out), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            walk()
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    return "\n".join([*handler.said, out.getvalue(), *(str(w.message) for w in warned)])


def _with_person(bench: Bench, command: Any) -> Any:
    return evolve(command, customer=_customer(bench, command))


@check(cases=UNDER, thin=True)
def no_secret_comes_out_of_any_verb(bench: Bench, case: str) -> None:
    """Credentials, tokens, billing keys and the payer's data, through every verb, also where something goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "ledger.db")
        try:
            with Bench(bench.subject, bench.face, ledger=ledger) as shop:
                said: list[tuple[str, str]] = []
                heard = _overheard(lambda: _walk(shop, case, said))
                account = shop.gate._account
                said += [("the log or the output", heard), ("the gateway", shown(shop.gate)),
                         ("the provider", repr(account.provider) + repr(vars(account.provider))),
                         ("the spec", repr(account.spec))]
                canaries = _canaries(shop)
        finally:
            ledger.close()
        written = [(f"the bytes of {p.name}", p.read_bytes()) for p in sorted(Path(folder).iterdir())]
    found = [leak for where, text in said for leak in _leaks(where, text, canaries)]
    found += [leak for where, data in written for leak in _leaks(where, data, canaries)]
    expect(not found, f"under {case}: {'; '.join(sorted(set(found)))}")


def _canaries(shop: Bench) -> dict[str, str]:
    found = {**credentials(shop), **tokens(shop), **{f"the payer's {n}": t for n, t in PERSON.items()}}
    if shop._key is not None and len(shop._key.reveal()) >= 8:
        found["the billing key"] = shop._key.reveal()
    return found


def _walk(shop: Bench, case: str, said: list[tuple[str, str]]) -> None:
    for verb, make in verbs(shop, lambda command: _with_person(shop, command)):
        try:
            asked = make()
            _prepare(shop, case, verb, asked)
        except (Broke, NotHere):
            shop.wire.calm()
            continue
        said.append((f"the command of {verb}", repr(asked[0]) + str(asked[0])))
        told = shop.ask(verb, *asked)
        shop.wire.calm()
        said.append((f"what {verb} told", shown(told.value) if told.error is None else _raised(told.error)))
    if shop.claims(C.LISTING):
        _prepare(shop, case, "listing", ())
        told = shop.say(shop.provider.listing(shop.story.start, shop.clock.now()))
        shop.wire.calm()
        said.append(("what listing told", shown(told.value) if told.error is None else _raised(told.error)))
    for hook in shop.pg.hooks[:3] if shop.claims(C.RECEIVE) else ():
        told = shop.ask("receive", {k.lower(): v for k, v in hook.headers.items()}, hook.body)
        said.append(("what receive told", shown(told.value) if told.error is None else _raised(told.error)))
    for row in filter(None, map(shop.row, shop.orders)):
        said.append(("a row", shown(row)))
    for row in filter(None, map(shop.row, shop.registered)):
        if row.provider_id is not None and shop.claims(C.LOOKUP):
            told = shop.ask("lookup", row.provider_id)
            said.append(("the record of a registration", shown(told.value) if told.is_yes else shown(told.error)))
    for verb in ("reconcile", "pending", "attention"):
        said.append((f"what {verb} told", shown(shop.ask(verb).value)))


def _prepare(shop: Bench, case: str, verb: str, asked: tuple[Any, ...]) -> None:
    """Have what the case says come over the next call.

    Raises: NotHere where it cannot.
    """
    if case in CASES:
        shop.wire.plan(CASES[case][0], times=2)
    elif case in ("failed", "code", "pending") and verb in ("charge", "renew"):
        shop.next_charge(case)
    elif case == "used" and verb in ("charge", "schedule"):
        with shop.another() as other:
            other.do(verb, *asked)


@check(faces=SYNC)
def no_credential_and_no_token_stands_in_an_address(bench: Bench) -> None:
    """Addresses are logged by every machine on the way."""
    _walk(bench, "nothing", [])
    for name, text in {**credentials(bench), **tokens(bench)}.items():
        bare = text.removeprefix("Bearer ").removeprefix("Basic ")
        for sent in bench.sent():
            there = quote(bare, safe="") in sent.url or bare in sent.url
            expect(not there, f"{name} is in the address of a request")


@check(faces=SYNC)
def a_request_hides_its_secrets_while_it_is_a_value(bench: Bench) -> None:
    """Billing keys and personal data go into requests as Secrets: a request may be logged, its secrets may not."""
    for kind in acts_of(bench.subject):
        with bench.fresh() as shop:
            try:
                act = kind(shop)
            except NotHere:
                continue
            if hasattr(act.command, "customer"):
                act.command = _with_person(shop, act.command)
            tape = recorded(shop, act.flow)
            canaries = _canaries(shop)
            for request in tape.requests:
                text = f"{request!r} {request.query!r} {request.headers!r} {request.json!r}"
                found = _leaks(f"the request of {act.verb}", text, canaries)
                expect(not found, "; ".join(found))


@check(faces=SYNC)
def settings_and_provider_print_no_credential(bench: Bench) -> None:
    """Whoever prints a gateway's parts to find a fault prints no key."""
    _walk(bench, "nothing", [])
    settings: Any = settings_from(bench.subject.spec.settings, bench.subject.settings(bench.pg), bench.subject.name)
    made = credentials(bench)
    for where, text in (("the settings", shown(settings)), ("the provider", shown(bench.provider)),
                        ("its attributes", repr(vars(bench.provider)))):
        found = _leaks(where, text, made)
        expect(not found, "; ".join(found))
