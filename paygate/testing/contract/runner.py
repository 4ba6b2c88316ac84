"""Running checks in-process, without pytest: for the report, for mutants, and under every test of the kit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import frozen

from .bench import Bench, Face
from .registry import Check, all_checks
from .subject import Subject
from .told import NotHere

Verdict = Literal["holds", "broken", "not here"]


@frozen(kw_only=True)
class Result:
    """How one check ended in one case. `why` says what is wrong, or why it does not concern this provider."""

    check: Check
    face: Face | None
    case: str | None
    verdict: Verdict
    why: str | None = None

    @property
    def run(self) -> str:
        """The check and its case, as pytest writes them: `name[face-case]`."""
        of = "-".join(part for part in (self.face, self.case) if part is not None)
        return f"{self.check.name}[{of}]" if of else self.check.name


def run_one(subject: Subject, check: Check, face: Face, case: str | None) -> Result:
    """One check in one case, on a bench of its own."""
    try:
        with Bench(subject, face) as bench:
            check.run(bench, case)
    except NotHere as reason:
        return Result(check=check, face=face, case=case, verdict="not here", why=str(reason))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # A crash of a provider, or of the kit because of one, breaks the contract as well.
        return Result(check=check, face=face, case=case, verdict="broken", why=f"{type(error).__name__}: {error}")
    return Result(check=check, face=face, case=case, verdict="holds")


def run_check(subject: Subject, check: Check) -> Iterator[Result]:
    """One check in all its cases."""
    if (reason := check.why_not(subject)) is not None:
        yield Result(check=check, face=None, case=None, verdict="not here", why=reason)
        return
    for face, case in check.runs(subject):
        yield run_one(subject, check, face, case)


def run_all(subject: Subject, checks: Iterable[Check] | None = None) -> Iterator[Result]:
    """Every check in all its cases."""
    for check in all_checks() if checks is None else checks:
        yield from run_check(subject, check)
