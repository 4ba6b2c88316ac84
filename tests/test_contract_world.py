"""The kit's watch over what code reaches for: what a provider does, and nothing that happens beside it."""

from __future__ import annotations

import gc
import time

from paygate.provider import Provider
from paygate.testing.contract.world import watching


class Mine(Provider):
    """Of this module, so that whatever this module does counts as a provider's doing."""


def test_the_time_is_seen_to_be_asked_for() -> None:
    assert watching(Mine, time.perf_counter) == set()  # Nothing of the provider's stands behind it.
    assert watching(Mine, lambda: time.perf_counter()) == {"perf_counter"}


def test_a_collection_in_between_that_somebody_times_is_not_the_providers_doing() -> None:
    timed: list[float] = []

    def listens(phase: str, info: dict[str, int]) -> None:
        timed.append(time.perf_counter())

    threshold = gc.get_threshold()
    gc.callbacks.append(listens)
    gc.set_threshold(10)
    try:
        assert watching(Mine, lambda: [[n] for n in range(5_000)]) == set()
        [[n] for n in range(5_000)]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(listens)
    assert timed, "there was no collection at all"
