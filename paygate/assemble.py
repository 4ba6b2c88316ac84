"""`connect` and `connect_async`: from a provider's name and settings to a gateway. Nothing is sent yet."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import attrs

from .async_gateway import AsyncGateway
from .clock import Clock, SystemClock
from .codec import settings_from
from .config import check_base_url, check_times
from .drive import AsyncDriver, Driver, sleeper
from .errors import BadSettings
from .gateway import Gateway
from .ledger.row import CLOSED, Closed, Ledger, LedgerError, NoPlace
from .procedures.account import Account
from .provider import ProviderSpec
from .secret import Secret
from .vault import Vault

if TYPE_CHECKING:
    import ssl

    import httpx

    from .ledger.store import SqlLedger

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
"""A gateway's name. Without "/": what follows one tells test from live in the ledger."""
_POSTGRES = re.compile(r"postgres(ql)?://|(host|hostaddr|dbname|user|service|port)\s*=")
_VERBS = tuple(verb for verb in vars(Ledger) if not verb.startswith("_"))


def connect(provider: str | ProviderSpec, settings: Mapping[str, Any], *, ledger: str | os.PathLike[str] | Ledger,
            name: str | None = None, base_url: str | None = None, timeout_s: float = 60.0, deadline_s: float = 90.0,
            settle_s: float | None = None, allow: Iterable[tuple[str, str]] | None = None,
            http: httpx.BaseTransport | None = None, tls: ssl.SSLContext | None = None,
            clock: Clock | None = None, vault: Vault | None = None) -> Gateway:
    """Connect to an account at a PG. Nothing is sent yet.

    `provider` is an installed provider's name, `settings` its own settings (credentials, `mode`).
    `ledger` is the path of a SQLite file, the address of a PostgreSQL database ("postgresql://user@host/database"), or
    a ledger such as `MemoryLedger()` for tests; there is no "none". One that is handed in stays open when the gateway
    closes.
    `name` tells several accounts at one provider apart (A-Z a-z 0-9 _ . -); billing keys and order ids belong to it.
    `base_url` replaces the PG's address: one of the provider's hosts, or this machine (in test mode).
    `timeout_s` bounds each wait for the PG, `deadline_s` a whole call, look-ups included.
    `settle_s` is how long the PG may go on working after we hang up: before that, "not found" proves nothing.
    `allow` lists the (distribution, provider) pairs that may be loaded. `http` replaces the transport (tests, proxies).
    `vault` encrypts what paygate must keep to charge by itself: dated charges and subscriptions (see `KeyVault`).

    Raises: UnknownProvider, BadSettings; LedgerError where the ledger's disk or server fails, which passes.
    """
    account, store, address = _prepare(provider, settings, ledger=ledger, name=name, base_url=base_url,
                                       timeout_s=timeout_s, deadline_s=deadline_s, settle_s=settle_s, allow=allow,
                                       clock=clock, vault=vault)
    from .transport import Door

    door = Door(address, timeout_s=timeout_s, http=http, tls=tls)
    driver = Driver(door, store, sleeper(account.clock) or time.sleep, account.clock, deadline_s)
    return Gateway(account, driver, owns_ledger=store is not ledger)


def connect_async(provider: str | ProviderSpec, settings: Mapping[str, Any], *,
                  ledger: str | os.PathLike[str] | Ledger, name: str | None = None, base_url: str | None = None,
                  timeout_s: float = 60.0, deadline_s: float = 90.0, settle_s: float | None = None,
                  allow: Iterable[tuple[str, str]] | None = None, http: httpx.AsyncBaseTransport | None = None,
                  tls: ssl.SSLContext | None = None, clock: Clock | None = None,
                  vault: Vault | None = None) -> AsyncGateway:
    """The same as `connect`, for asyncio. The function itself does not wait for anything.

    Raises: UnknownProvider, BadSettings; LedgerError where the ledger's disk or server fails, which passes.
    """
    account, store, address = _prepare(provider, settings, ledger=ledger, name=name, base_url=base_url,
                                       timeout_s=timeout_s, deadline_s=deadline_s, settle_s=settle_s, allow=allow,
                                       clock=clock, vault=vault)
    from .transport import AsyncDoor

    door = AsyncDoor(address, timeout_s=timeout_s, http=http, tls=tls)
    driver = AsyncDriver(door, store, sleeper(account.clock), account.clock, deadline_s)
    return AsyncGateway(account, driver, owns_ledger=store is not ledger)


def _prepare(provider: str | ProviderSpec, settings: Mapping[str, Any], *, ledger: str | os.PathLike[str] | Ledger,
             name: str | None, base_url: str | None, timeout_s: float, deadline_s: float, settle_s: float | None,
             allow: Iterable[tuple[str, str]] | None, clock: Clock | None,
             vault: Vault | None) -> tuple[Account, Ledger, str]:
    from .plugins import load

    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise BadSettings("name is 1 to 80 of A-Z a-z 0-9 _ . -; nothing was sent")
    spec = provider if isinstance(provider, ProviderSpec) else load(provider, allow=allow)
    checked = settings_from(spec.settings, settings, spec.name)
    is_test = checked.mode == "test"
    settle_s = spec.profile.settle_s.value if settle_s is None else settle_s
    check_times(timeout_s=timeout_s, deadline_s=deadline_s, settle_s=settle_s)
    address = check_base_url(spec, base_url or spec.base_url, is_test=is_test)
    built, store = spec.build(checked), _store(ledger)
    account = Account(name=name or spec.name, spec=spec, provider=built, is_test=is_test, clock=clock or _clock(store),
                      deadline_s=deadline_s, settle_s=settle_s, secrets=tuple(_secrets(checked)), vault=vault)
    return account, store, address


def _clock(store: Ledger) -> Clock:
    """Machines that share a ledger share its clock: a lease must end at the same instant for all of them."""
    theirs: Clock = getattr(store, "clock") if hasattr(type(store), "clock") else SystemClock()  # noqa: B009
    return theirs


def _secrets(settings: Any) -> Iterator[Secret]:
    for field in attrs.fields(type(settings)):
        value = getattr(settings, field.name)
        yield from (part for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, Secret))


def _store(ledger: str | os.PathLike[str] | Ledger) -> Ledger:
    wanted = ("a ledger is the path of a file on a local disk, a PostgreSQL address (postgresql://…), or for tests "
              "MemoryLedger()")
    if not isinstance(ledger, (str, os.PathLike)):
        lacking = [verb for verb in _VERBS if not callable(getattr(ledger, verb, None))]
        if isinstance(ledger, type) or lacking:
            kind = ledger.__name__ if isinstance(ledger, type) else type(ledger).__name__
            raise BadSettings(f"{wanted}, not {kind}")
        return ledger
    return _opened(ledger, wanted)


def open_existing(where: str) -> SqlLedger:
    """The ledger that is at a path or an address already: none is made there, and an older one is left as it is.

    Raises: BadSettings; LedgerError.
    """
    return _opened(where, "a ledger is a path or a PostgreSQL address", upgrades=False)


def _opened(where: str | os.PathLike[str], wanted: str, *, upgrades: bool | None = None) -> SqlLedger:
    """Raises: BadSettings for a place where no ledger can be, or none is any more; LedgerError for one that fails now,
    and for an older paygate's.
    """
    try:
        return _in_use(open_store(where, upgrades=upgrades))
    except ValueError:
        fault: Exception = BadSettings(wanted)
    except (NoPlace, Closed) as error:
        fault = BadSettings(f"the ledger cannot be used: {error}")
    except LedgerError as error:
        fault = LedgerError(f"the ledger cannot be used: {error}")
    # Outside of the handler, whose frames hold the address, password and all.
    raise fault


def _in_use(store: SqlLedger) -> SqlLedger:
    """Raises: LedgerError where it was moved away, or is not whole yet."""
    try:
        why = store.closed
    except BaseException:
        store.close()
        raise
    if why is not None:
        store.close()
        raise Closed(f"{CLOSED}: {why}")
    return store


def is_database(where: str | os.PathLike[str]) -> TypeGuard[str]:
    """Whether a ledger's place is the address of a database, and no path."""
    return isinstance(where, str) and _POSTGRES.match(where) is not None


def open_store(where: str | os.PathLike[str], *, upgrades: bool | None = None) -> SqlLedger:
    """The ledger at a path or a PostgreSQL address; `upgrades` says whether an older one is brought up to date.

    Not said, a file is, and a database is not: several machines share it, and they are upgraded one by one.

    Raises: LedgerError; ValueError for what is neither.
    """
    if is_database(where):
        try:
            from .ledger.postgres import PostgresLedger
        except ModuleNotFoundError as missing:
            raise NoPlace(f"PostgreSQL needs {missing.name}: pip install 'paygate-core[postgres]'") from None
        return PostgresLedger(where, upgrades=upgrades)
    if ":memory:" in str(where) or "://" in str(where) or not str(where):
        raise ValueError("neither a path nor a PostgreSQL address")
    if os.path.isdir(where):
        raise NoPlace("its path is a directory; name a file in it, such as ledger.db")
    if not os.path.isdir(os.path.dirname(os.path.abspath(where))):
        raise NoPlace("there is no folder at its path")
    from .ledger.sqlite import SqliteLedger

    return SqliteLedger(where, upgrades=upgrades is not False)
