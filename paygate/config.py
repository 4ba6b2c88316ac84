"""What may be configured, checked once, at construction: addresses, times, and settings from the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from .errors import BadSettings
from .provider import ProviderSpec

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_base_url(spec: ProviderSpec, base_url: str, *, is_test: bool) -> str:
    """Credentials go to the provider's own hosts over https, or to this machine in test mode; nowhere else.

    Raises: BadSettings.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadSettings("base_url is not a URL") from None
    if "@" in parts.netloc or parts.query or parts.fragment or not base_url.isascii() or base_url != base_url.strip():
        raise BadSettings("base_url must be scheme, host, port and path only")
    if host in _LOOPBACK:
        if not is_test:
            raise BadSettings("live mode does not talk to this machine: use mode 'test' with a sandbox")
        if parts.scheme not in ("http", "https"):
            raise BadSettings("base_url must be http or https")
    elif parts.scheme != "https" or host not in spec.hosts:
        raise BadSettings(f"base_url must be https and one of {', '.join(spec.hosts)} (or this machine, in test mode)")
    return base_url.rstrip("/")


def check_times(**seconds: float) -> None:
    """Raises: BadSettings for a time that is not a positive number of seconds."""
    for name, value in seconds.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value <= 0:
            raise BadSettings(f"{name} must be a positive number of seconds")


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of `connect` from PAYGATE_PROVIDER, PAYGATE_SETTINGS (JSON), PAYGATE_LEDGER, and where they are set
    PAYGATE_BASE_URL, PAYGATE_NAME and PAYGATE_VAULT_KEYS (keys of a `KeyVault`, with commas between, newest first).

    `connect(**from_environment(os.environ))`: switching the PG is then configuration, not code.

    Raises: BadSettings naming every variable that is missing, or the one that is not JSON.
    """
    needed = ("PAYGATE_PROVIDER", "PAYGATE_SETTINGS", "PAYGATE_LEDGER")
    if missing := [name for name in needed if not environ.get(name)]:
        raise BadSettings(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set")
    try:
        settings = json.loads(environ["PAYGATE_SETTINGS"])
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise BadSettings("PAYGATE_SETTINGS is not a JSON object")
    arguments: dict[str, Any] = {"provider": environ["PAYGATE_PROVIDER"], "settings": settings,
                                 "ledger": environ["PAYGATE_LEDGER"]}
    for name, variable in (("base_url", "PAYGATE_BASE_URL"), ("name", "PAYGATE_NAME")):
        if environ.get(variable):
            arguments[name] = environ[variable]
    if environ.get("PAYGATE_VAULT_KEYS"):
        from .keyvault import KeyVault

        arguments["vault"] = KeyVault([key.strip() for key in environ["PAYGATE_VAULT_KEYS"].split(",")])
    return arguments
