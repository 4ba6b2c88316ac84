"""paygate-steppay: StepPay, 관리형 and 비관리형, as two paygate providers. Importing it does no I/O."""

from __future__ import annotations

from paygate.plugins import hookimpl
from paygate.provider import ProviderSpec

from .managed import Managed
from .profile import MANAGED_CAPABILITIES, MANAGED_PROFILE, UNMANAGED_CAPABILITIES, UNMANAGED_PROFILE
from .settings import BASE_URL, HOSTS, ManagedSettings, UnmanagedSettings
from .unmanaged import Unmanaged
from .words import MANAGED, UNMANAGED

__all__ = ["Managed", "ManagedSettings", "Unmanaged", "UnmanagedSettings", "paygate_providers"]


@hookimpl
def paygate_providers() -> list[ProviderSpec]:
    """The providers of this distribution."""
    return [
        ProviderSpec(
            name=MANAGED, title="StepPay, managed (스텝페이 관리형)", settings=ManagedSettings, build=Managed,
            base_url=BASE_URL, hosts=HOSTS, capabilities=MANAGED_CAPABILITIES, profile=MANAGED_PROFILE,
            unprocessed=frozenset(), emulator="paygate_steppay.emulator:ManagedEmulator"),
        ProviderSpec(
            name=UNMANAGED, title="StepPay, unmanaged (스텝페이 비관리형)", settings=UnmanagedSettings, build=Unmanaged,
            base_url=BASE_URL, hosts=HOSTS, capabilities=UNMANAGED_CAPABILITIES, profile=UNMANAGED_PROFILE,
            unprocessed=frozenset(), emulator="paygate_steppay.emulator:UnmanagedEmulator"),
    ]
