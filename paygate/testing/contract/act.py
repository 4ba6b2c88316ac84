"""What every mutating verb under contract is to its checks: something prepared, done once, disturbed, and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...capability import Capability
from ...flow import Flow
from .bench import Bench
from .origins import origins
from .subject import Subject
from .told import Told

Needs = tuple[Capability, ...]


class Act:
    """One mutating verb, prepared on a bench; making it brings the PG to where the verb makes sense."""

    verb: ClassVar[str]
    needs: ClassVar[Needs]
    moves: ClassVar[str | None] = None
    """The kind of movement it makes in the journal."""
    word: ClassVar[str]
    """What it is called in a check's name."""
    is_once: ClassVar[bool] = True
    """Whether what may have arrived must not be sent a second time."""
    is_main: ClassVar[bool] = True
    """Whether it meets everything that can go wrong; else it is like one that does, and meets what matters."""
    origin: ClassVar[str | None] = None
    """Where the payment comes from that it is about; None: from wherever is plainest."""

    @classmethod
    def why_not(cls, subject: Subject) -> str | None:
        """Why it does not concern a provider that claims what it needs; None where it does."""
        if cls.origin is None or cls.origin in origins(subject)[1:]:
            return None
        return f"payments of a {cls.origin} are the plainest here, or none"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.origin = self.origin or bench.origin
        self.command: Any = self.prepared()
        bench.warm()
        self.since = len(bench.journal)
        self.mark = bench.mark

    def prepared(self) -> Any:
        """Bring the PG to where the verb makes sense; returns the verb's argument."""
        raise NotImplementedError

    def flow(self) -> Flow[Any]:
        """The provider's half."""
        flow: Callable[..., Flow[Any]] = getattr(self.bench.provider, self.verb)
        return flow(self.command, *self.context())

    def context(self) -> tuple[Any, ...]:
        """What the provider is given beside the command."""
        return ()

    def ask(self) -> Told:
        """Through the gateway."""
        return self.bench.ask(self.verb, self.command)

    def claims_done(self, value: Any) -> bool:
        """Whether what the provider's half returned says that it was done."""
        return True

    def done(self) -> int | None:
        """How often the PG did it; None where that cannot be seen."""
        return sum(m.kind == self.moves for m in self.bench.journal[self.since:])

    def partly(self) -> str | None:
        """What of it the PG did, where it did only a part: neither yes nor no is true then."""
        return None
