"""Wrong about secrets and the world: said in words, logs and addresses; clocks, dice, sleep and prints in a flow."""

from __future__ import annotations

import logging
import time
import warnings
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import OutcomeUnknown, PaygateError
from ...flow import Flow
from ...provider import Provider
from ...secret import Secret
from ..contract.subject import Subject
from .bending import asks, bent, mutant, on_request

C = Capability


def _key(command: Any) -> str:
    text: str = command.billing_key.reveal()
    return text


@mutant(C.CHARGE)
def says_the_billing_key_in_an_error(subject: Subject) -> Subject:
    """An error's text names the key."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from right(command))
        except OutcomeUnknown:
            raise OutcomeUnknown(f"no answer for key {_key(command)}") from None
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def logs_the_billing_key(subject: Subject) -> Subject:
    """Every charge is logged, key and all."""
    def charge(right: Any, self: Any, command: Any) -> Any:
        logging.getLogger("acme").info("charging %s", _key(command))
        return right(command)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def prints_what_it_charges(subject: Subject) -> Subject:
    """Every charge is printed, key and all."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        print("charging", _key(command))
        made = yield from right(command)
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def warns_of_what_it_charges(subject: Subject) -> Subject:
    """Every charge raises a warning, key and all."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        made = yield from right(command)
        warnings.warn(f"charged {_key(command)}", stacklevel=1)
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def reveals_the_billing_key_in_its_request(subject: Subject) -> Subject:
    """The key stands in the request as plain text, where a log of requests shows it."""
    from ...secret import reveal_all

    return bent(subject, charge=on_request(lambda r, *_: evolve(r, json=reveal_all(r.json)) if asks(r) else r))


@mutant()
def keeps_its_credentials_as_text(subject: Subject) -> Subject:
    """The provider holds its credentials where printing it shows them."""
    right = subject.spec.build

    def build(settings: Any) -> Provider:
        made = right(settings)
        import attrs

        for field in attrs.fields(type(settings)):
            value = getattr(settings, field.name)
            if isinstance(value, Secret):
                setattr(made, f"plain_{field.name}", value.reveal())
        return made
    return subject.built_by(build)


@mutant(C.LOOKUP)
def puts_its_credentials_into_the_address(subject: Subject) -> Subject:
    """A credential is sent in the query."""
    def change(request: Any, self: Any, *_: Any) -> Any:
        import attrs

        held = next((v for f in attrs.fields(type(self._settings))
                     if isinstance(v := getattr(self._settings, f.name), Secret)), None)
        return request if held is None else evolve(request, query=(*request.query, ("key", held)))
    return bent(subject, lookup=on_request(change))


@mutant(C.CHARGE)
def tells_the_payers_name(subject: Subject) -> Subject:
    """The payer's name goes into the record that the ledger keeps."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        made = yield from right(command)
        name = command.customer.name
        return made if name is None else evolve(made, method=name.reveal())
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def says_the_payers_phone_in_an_error(subject: Subject) -> Subject:
    """An error's text names the payer's phone."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from right(command))
        except PaygateError as error:
            phone = command.customer.phone
            raise type(error)(f"{error} (call {phone.reveal() if phone else 'nobody'})") from None
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def sleeps_between_requests(subject: Subject) -> Subject:
    """A flow waits by itself."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        time.sleep(0)
        made = yield from right(command)
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def reads_the_machines_clock(subject: Subject) -> Subject:
    """A flow tells the time of payment by itself."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        made = yield from right(command)
        return evolve(made, paid_at=datetime.now(UTC))
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def throws_dice_for_the_order_id(subject: Subject) -> Subject:
    """Every request has an id that was made up for it."""
    from secrets import token_hex

    def change(request: Any, self: Any, command: Any) -> Any:
        return evolve(request, headers={**request.headers, "X-Request-Id": token_hex(8)}) if asks(request) else request
    return bent(subject, charge=on_request(change))


@mutant(C.CHARGE)
def reads_the_environment(subject: Subject) -> Subject:
    """Every provider that is built adds a number of its own to its requests."""
    count = iter(range(10**6))
    right = subject.spec.build

    def build(settings: Any) -> Provider:
        made = right(settings)
        made._kit_number = next(count)  # type: ignore[attr-defined]
        return made

    def change(request: Any, self: Any, command: Any) -> Any:
        return evolve(request, headers={**request.headers, "X-Number": str(self._kit_number)})
    return bent(subject.built_by(build), charge=on_request(change))


@mutant()
def keeps_its_settings_as_text(subject: Subject) -> Subject:
    """Settings hold their credentials as plain text."""
    right, kind = subject.spec.build, subject.spec.settings
    made = evolve(subject.spec, settings=_plain_of(kind), build=lambda given: right(_typed(kind, given)))
    return evolve(subject, spec=made)


def _plain_of(kind: type[Any]) -> type[Any]:
    """A settings class of the same fields, its secrets as text."""
    import attrs

    fields = {f.name: attrs.field(default=f.default) for f in attrs.fields(kind)}
    made: type[Any] = attrs.make_class("Plain", fields, frozen=True, kw_only=True)
    return made


def _typed(kind: type[Any], given: Any) -> Any:
    import attrs

    return kind(**{f.name: getattr(given, f.name) for f in attrs.fields(type(given))})
