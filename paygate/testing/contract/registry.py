"""The list of checks: each is a sentence about behaviour, with what it needs and in which cases it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import frozen

from ...capability import Capability
from .bench import FACES, Bench, Face
from .origins import origins
from .subject import Subject, why_not

Body = Callable[..., None]
When = Callable[[Subject], str | None]
Cases = Callable[[Subject], Iterable[str]]


@frozen(kw_only=True)
class Check:
    """One statement of the contract. `run(bench)` or `run(bench, case)` raises where it does not hold."""

    name: str
    room: str
    body: Body
    needs: tuple[Capability, ...] = ()
    when: When | None = None
    cases: Cases | None = None
    faces: tuple[Face, ...] = FACES
    by_origin: bool = False
    """Whether its cases are where a payment can come from; `Bench.paid` then makes one of that kind."""
    thin: bool = False
    """Whether its cases differ in nothing that a face has a part in: all but the first are run in one face."""

    @property
    def test_name(self) -> str:
        """What pytest calls it."""
        return f"test_{self.name}"

    @property
    def sentence(self) -> str:
        """Its name as a sentence."""
        words = self.name.replace("_", " ")
        return f"{words[0].upper()}{words[1:]}."

    def why_not(self, subject: Subject) -> str | None:
        """Why it does not concern `subject`; None where it does."""
        lacking = why_not(subject, self.needs) or (self.when(subject) if self.when is not None else None)
        return lacking or ("it takes no one-off money" if self.by_origin and not origins(subject) else None)

    def runs(self, subject: Subject) -> Sequence[tuple[Face, str | None]]:
        """Every (face, case) it is run in."""
        cases: Iterable[str | None] = [None] if self.cases is None else self.cases(subject)
        return [(face, case) for number, case in enumerate(cases)
                for face in (self.faces[:1] if self.thin and number else self.faces)]

    def run(self, bench: Bench, case: str | None) -> None:
        """Run it once, on a fresh bench.

        Raises: Broke, NotHere.
        """
        if self.by_origin:
            bench.origin, case = case, None
        self.body(bench) if case is None else self.body(bench, case)


_checks: dict[str, Check] = {}


def check(*needs: Capability, when: When | None = None, cases: Cases | Sequence[str] | None = None,
          faces: tuple[Face, ...] = FACES, by_origin: bool = False, thin: bool = False) -> Callable[[Body], Body]:
    """Put a function on the list of checks; its name is the sentence, its module the room it is told under."""
    def put(body: Body) -> Body:
        add(body, body.__name__, needs=needs, when=when, cases=cases, faces=faces, by_origin=by_origin, thin=thin)
        return body
    return put


def add(body: Body, name: str, *, needs: Sequence[Capability] = (), when: When | None = None,
        cases: Cases | Sequence[str] | None = None, faces: tuple[Face, ...] = FACES, by_origin: bool = False,
        thin: bool = False) -> None:
    """Put a function on the list of checks under a name of its own."""
    if name in _checks:
        raise ValueError(f"two checks are called {name}")
    fixed: Any = cases
    by_subject = origins if by_origin else cases if cases is None or callable(cases) else lambda subject: fixed
    _checks[name] = Check(name=name, room=body.__module__.rpartition(".")[2], body=body, needs=tuple(needs), when=when,
                          cases=by_subject, faces=faces, by_origin=by_origin, thin=thin or by_origin)


SYNC: tuple[Face, ...] = ("sync",)
"""For what no face has a part in: declarations, flows without a gateway, pure functions."""


def all_checks() -> tuple[Check, ...]:
    """Every check, in the order in which they are run."""
    from . import checks

    checks.load()
    return tuple(_checks.values())
