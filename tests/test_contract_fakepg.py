"""FakePG keeps the contract of every provider."""

from paygate.testing import ProviderContract


class TestFakePG(ProviderContract):
    provider = "fakepg"
