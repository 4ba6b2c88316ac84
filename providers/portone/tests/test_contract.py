"""NaverPay through PortOne keeps the contract of every provider."""

from paygate.testing import ProviderContract


class TestNaverPay(ProviderContract):
    provider = "portone-naverpay"
