"""The checker is tested before it is believed: every wrong client is caught, and a right one is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from wrong_clients import WRONG, RightClient, play

SEEDS = ("a", "b", "c", "d")


@pytest.mark.parametrize("seed", [*SEEDS, *"efghijkl"])
def test_nothing_is_found_at_a_right_client(seed: str) -> None:
    assert play(RightClient, seed) == []


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_every_wrong_client_is_caught_at_what_it_does(kind: type[RightClient]) -> None:
    found = {violation.kind for seed in SEEDS for violation in play(kind, seed)}
    assert found >= WRONG[kind], f"{kind.__doc__} was caught at {found or 'nothing'}"


def test_there_are_more_ways_to_be_wrong_than_eight() -> None:
    assert len(WRONG) >= 8
