"""Wrong in how it reads answers: FakePG's reader, made lenient in one place each."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from attrs import evolve

from ...capability import Capability
from ...errors import OutcomeUnknown
from ...flow import Flow
from ...model import PaymentStatus
from ...wire import Response
from ..contract.subject import Subject
from ..fakepg import provider, records
from .bending import bent, mutant

C = Capability
ONLY = ("fakepg",)
VERBS = ("charge", "find", "lookup", "cancel")


class _Guessing(dict[str, PaymentStatus]):
    """A table of words that has an answer to everything."""

    def __init__(self, guess: PaymentStatus) -> None:
        super().__init__(records.STATUSES)
        self._guess = guess

    def __missing__(self, word: object) -> PaymentStatus:
        return self._guess


def _with(name: str, value: Any, home: Any = records) -> Any:
    """Run a flow with one of the reader's parts replaced, where it is named."""
    def method(right: Any, self: Any, *args: Any) -> Flow[Any]:
        flow = right(*args)
        try:
            with mock.patch.object(home, name, value):
                request = next(flow)
            while True:
                try:
                    answer = yield request
                except GeneratorExit:
                    flow.close()
                    raise
                except BaseException as error:
                    with mock.patch.object(home, name, value):
                        request = flow.throw(error)
                else:
                    with mock.patch.object(home, name, value):
                        request = flow.send(answer)
        except StopIteration as stop:
            return stop.value
    return method


def _reading(subject: Subject, name: str, value: Any, home: Any = records) -> Subject:
    return bent(subject, **{verb: _with(name, value, home) for verb in VERBS})


@mutant(only=ONLY)
def guesses_that_an_unknown_status_is_paid(subject: Subject) -> Subject:
    """A word that nobody has published means paid."""
    return _reading(subject, "STATUSES", _Guessing(PaymentStatus.PAID))


@mutant(only=ONLY)
def guesses_that_an_unknown_status_is_failed(subject: Subject) -> Subject:
    """A word that nobody has published means failed."""
    return _reading(subject, "STATUSES", _Guessing(PaymentStatus.FAILED))


@mutant(only=ONLY)
def guesses_that_an_unknown_status_is_pending(subject: Subject) -> Subject:
    """A word that nobody has published means pending."""
    return _reading(subject, "STATUSES", _Guessing(PaymentStatus.PENDING))


def _lenient(reply: Response) -> dict[str, Any]:
    """Any JSON, however it is written, at any content type."""
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise OutcomeUnknown("the PG's answer cannot be read") from None
    return said if isinstance(said, dict) else {}


@mutant(only=ONLY)
def reads_json_leniently(subject: Subject) -> Subject:
    """Names given twice, NaN and pages of HTML that hold JSON are read like any answer."""
    def read(reply: Response) -> dict[str, Any]:
        return _lenient(reply)
    return _reading(subject, "read_object", read)


@mutant(only=ONLY)
def lets_missing_fields_out_as_key_errors(subject: Subject) -> Subject:
    """A field that is missing raises KeyError."""
    return _reading(subject, "understood", lambda read, *said: read(*said), provider)


@mutant(only=ONLY)
def reads_missing_amounts_as_asked_for(subject: Subject) -> Subject:
    """Where the answer names no amount or no status, the command's is taken."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        flow = right(command)
        answer = yield next(flow)
        try:
            said = _lenient(answer)
            if answer.status == 200:
                said.setdefault("amount", command.money.amount)
                said["amount"] = said["amount"] or command.money.amount
                said["status"] = said.get("status") or "paid"
            flow.send(evolve(answer, body=json.dumps(said).encode()))
        except StopIteration as stop:
            return stop.value
        raise OutcomeUnknown("it goes on")
    return bent(subject, charge=charge)


@mutant(only=ONLY)
def takes_numbers_of_any_kind(subject: Subject) -> Subject:
    """Amounts with a point, in text or negative are made whole numbers."""
    def money(amount: Any, currency: str) -> Any:
        from ...money import Money

        return Money(abs(int(float(str(amount)))), currency)
    return _reading(subject, "Money", money)


@mutant(only=ONLY)
def takes_any_no_for_a_refusal(subject: Subject) -> Subject:
    """A page of some machine with status 4xx is the PG's own no."""
    def accepted(reply: Response) -> dict[str, Any]:
        from ...errors import Refused

        if 400 <= reply.status < 500 and reply.status not in (401, 429):
            raise Refused("the PG refused")
        return records_accepted(reply)  # type: ignore[return-value]

    records_accepted = records.accepted

    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        flow = right(command)
        answer = yield next(flow)
        accepted(answer)
        try:
            flow.send(answer)
        except StopIteration as stop:
            return stop.value
        raise OutcomeUnknown("it goes on")
    return bent(subject, charge=charge)
