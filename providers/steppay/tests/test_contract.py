"""Both kinds of StepPay keep the contract of every provider."""

from paygate.testing import ProviderContract


class TestManaged(ProviderContract):
    provider = "steppay-managed"


class TestUnmanaged(ProviderContract):
    provider = "steppay-unmanaged"
