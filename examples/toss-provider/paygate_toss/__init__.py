"""paygate-toss: Toss Payments as a paygate provider. Importing it does no I/O."""

from __future__ import annotations

from paygate import ProviderSpec, hookimpl

from .profile import CAPABILITIES, PROFILE
from .provider import TossProvider
from .settings import BASE_URL, HOSTS, Settings
from .words import NAME

__all__ = ["Settings", "TossProvider", "paygate_providers"]


@hookimpl
def paygate_providers() -> list[ProviderSpec]:
    """The providers of this distribution."""
    return [ProviderSpec(
        name=NAME,
        title="Toss Payments",
        settings=Settings,
        build=TossProvider,
        base_url=BASE_URL,
        hosts=HOSTS,
        capabilities=CAPABILITIES,
        profile=PROFILE,
        emulator="paygate_toss.emulator:TossEmulator",
    )]
