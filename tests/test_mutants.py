"""Providers broken on purpose: each is noticed by the check that is on record for it.

`python -m paygate.testing.mutants --json tests/mutants_caught.json fakepg portone-naverpay steppay-managed
steppay-unmanaged` looks through the whole contract and keeps the record; then `python docs/tables.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paygate.testing.contract import all_checks, subject_of
from paygate.testing.mutants import all_mutants
from paygate.testing.mutants.catching import is_noticed

KEPT: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("mutants_caught.json").read_text("utf-8"))
UNNOTICED = "not noticed: "
MUTANTS = {mutant.name: mutant for mutant in all_mutants()}


@pytest.mark.parametrize("name", sorted(KEPT))
def test_every_broken_provider_is_noticed_by_the_check_on_record(name: str) -> None:
    subject = subject_of(name)

    alive = [f"{mutant}: {run}" for mutant, run in KEPT[name].items()
             if not run.startswith(UNNOTICED) and is_noticed(subject, MUTANTS[mutant], run) is not True]

    assert alive == []


@pytest.mark.parametrize("name", sorted(KEPT))
def test_every_way_of_being_wrong_that_fits_a_provider_is_on_record(name: str) -> None:
    subject = subject_of(name)
    assert {m.name for m in MUTANTS.values() if m.of(subject) is not None} == set(KEPT[name]), "run it again: see above"


def test_what_is_not_noticed_is_little_and_says_why() -> None:
    why = [run for kept in KEPT.values() for run in kept.values() if run.startswith(UNNOTICED)]
    assert len(why) <= 12
    assert all(len(run) > len(UNNOTICED) + 20 for run in why)


def test_each_is_noticed_for_some_provider_and_the_record_names_checks_that_exist() -> None:
    noticed = {mutant for kept in KEPT.values() for mutant, run in kept.items() if not run.startswith(UNNOTICED)}
    assert noticed == set(MUTANTS)
    assert len(MUTANTS) > 150
    checks = {run.partition("[")[0] for kept in KEPT.values() for run in kept.values()
              if not run.startswith(UNNOTICED)}
    assert checks <= {check.name for check in all_checks()}


def test_a_right_provider_is_not_taken_for_a_broken_one() -> None:
    """What stands on record says something about the mutant only because the right one does not fail it."""
    from attrs import evolve

    subject = subject_of("fakepg")
    for mutant, run in [*KEPT["fakepg"].items()][::8]:
        assert is_noticed(subject, evolve(MUTANTS[mutant], bend=lambda right: right), run) is False
