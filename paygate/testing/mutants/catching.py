"""Which check catches which broken provider: run until the first that does, the one that did it last time first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from attrs import frozen

from ..contract.registry import all_checks
from ..contract.runner import Result, run_all, run_one
from ..contract.subject import Subject
from .bending import Mutant, all_mutants


@frozen(kw_only=True)
class Caught:
    """A mutant of one provider, and the result that gave it away; None where every check holds."""

    mutant: Mutant
    by: Result | None


def caught_by(broken: Subject, run: str) -> Result | None:
    """The result of one run, as `Result.run` names it, where it gives `broken` away; else None."""
    name, _, case = run.removesuffix("]").partition("[")
    for check in all_checks():
        if check.name == name and check.why_not(broken) is None:
            for face, one in check.runs(broken):
                if case == (face if one is None else f"{face}-{one}"):
                    result = run_one(broken, check, face, one)
                    return result if result.verdict == "broken" else None
    return None


def is_noticed(subject: Subject, mutant: Mutant, run: str) -> bool | None:
    """Whether that one run gives a mutant of `subject` away; None where this way of being wrong does not fit it."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        broken = mutant.of(subject)
        return None if broken is None else caught_by(broken, run) is not None


def caught(subject: Subject, mutant: Mutant, hint: str | None = None) -> Caught | None:
    """What gives a mutant of `subject` away; None where this way of being wrong does not fit it."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # Some of them print; that is what is wrong.
        broken = mutant.of(subject)
        if broken is None:
            return None
        by = caught_by(broken, hint) if hint else None
        return Caught(mutant=mutant, by=by or next((r for r in run_all(broken) if _gives_away(subject, r)), None))


def _gives_away(right: Subject, result: Result) -> bool:
    """Whether a result is broken where the right provider's is not."""
    return result.verdict == "broken" and result.face is not None \
        and run_one(right, result.check, result.face, result.case).verdict != "broken"


def hunt(subject: Subject, mutants: Iterable[Mutant] | None = None,
         hints: Mapping[str, str] | None = None) -> Iterator[Caught]:
    """Every mutant of `subject`, one after another; `hints`: mutant → the run that caught it last time."""
    for mutant in all_mutants() if mutants is None else mutants:
        found = caught(subject, mutant, (hints or {}).get(mutant.name))
        if found is not None:
            yield found
