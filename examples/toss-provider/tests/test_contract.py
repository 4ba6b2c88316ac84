from paygate.testing import ProviderContract


class TestToss(ProviderContract):
    provider = "toss"
