"""paygate-portone: NaverPay (결제형) through PortOne V1, as a paygate provider. Importing it does no I/O."""

from __future__ import annotations

from paygate.plugins import hookimpl
from paygate.provider import ProviderSpec

from .naverpay import NaverPay
from .profile import CAPABILITIES, PROFILE
from .settings import BASE_URL, HOSTS, Settings
from .words import NAME

__all__ = ["NaverPay", "Settings", "paygate_providers"]


@hookimpl
def paygate_providers() -> list[ProviderSpec]:
    """The providers of this distribution."""
    return [ProviderSpec(
        name=NAME,
        title="NaverPay (네이버페이 결제형) through PortOne V1",
        settings=Settings,
        build=NaverPay,
        base_url=BASE_URL,
        hosts=HOSTS,
        capabilities=CAPABILITIES,
        profile=PROFILE,
        emulator="paygate_portone.emulator:PortOneEmulator",
    )]
