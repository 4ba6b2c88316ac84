"""Which check catches which broken provider: run until the first that does, the likeliest first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib.resources import files
from io import StringIO

from attrs import frozen

from ..contract.registry import Check, all_checks
from ..contract.runner import Result, first_broken
from ..contract.subject import Subject
from .bending import Mutant, all_mutants

LIKELY = "likely.json"
"""Beside this module: mutant → the check that caught it last, most often. Only a matter of speed."""


@frozen(kw_only=True)
class Caught:
    """A mutant of one provider, and the result that gave it away; None where every check holds."""

    mutant: Mutant
    by: Result | None


def likely() -> Mapping[str, str]:
    """The check to begin with, for each mutant."""
    found: Mapping[str, str] = json.loads(files("paygate.testing.mutants").joinpath(LIKELY).read_text(encoding="utf-8"))
    return found


def ordered(first: str | None) -> list[Check]:
    """Every check, the one called `first` before all others."""
    checks = all_checks()
    return [c for c in checks if c.name == first] + [c for c in checks if c.name != first]


def caught(subject: Subject, mutant: Mutant, hints: Mapping[str, str]) -> Caught | None:
    """What gives a mutant of `subject` away; None where this way of being wrong does not fit it."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # Some of them print; that is what is wrong.
        broken = mutant.of(subject)
        if broken is None:
            return None
        return Caught(mutant=mutant, by=first_broken(broken, ordered(hints.get(mutant.name))))


def hunt(subject: Subject, mutants: Iterable[Mutant] | None = None,
         hints: Mapping[str, str] | None = None) -> Iterator[Caught]:
    """Every mutant of `subject`, one after another."""
    known = likely() if hints is None else hints
    for mutant in all_mutants() if mutants is None else mutants:
        found = caught(subject, mutant, known)
        if found is not None:
            yield found
