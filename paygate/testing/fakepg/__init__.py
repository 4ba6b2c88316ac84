"""FakePG: a provider of no PG at all, with its emulator, for tests of merchants' code and of the core itself.

It offers every verb in the plainest JSON. It dedups paid order ids, can be asked by order id, signs nothing.
Never registered as a plugin: it is handed to `connect` as a `ProviderSpec`, so no merchant selects it by mistake.
"""

from .capturing import CAPTURING
from .emulator import FakePG
from .provider import FAKEPG, FakeProvider, FakeSettings

__all__ = ["CAPTURING", "FAKEPG", "FakePG", "FakeProvider", "FakeSettings"]
