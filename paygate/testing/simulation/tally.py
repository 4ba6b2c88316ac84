"""What a simulation counted, and how a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import define, field

from .world import World


@define
class Failure:
    """A world in which something happened that must never happen."""

    provider: str
    world: int
    violations: list[str]


@define
class Tally:
    """Sums over the worlds of one provider and store. Tallies of several processes are added."""

    provider: str
    ledger: str
    worlds: int = 0
    orders: int = 0
    seconds: float = 0.0
    """Processor seconds, of all processes together."""
    calls: int = 0
    deaths: int = 0
    taken: int = 0
    """Charges that the PG made."""
    said: Counter[str] = field(factory=Counter)
    met: Counter[tuple[str, str]] = field(factory=Counter)
    """Troubles, by what was asked for and by name."""
    ended: Counter[str] = field(factory=Counter)
    """Orders and refunds by their state in the end."""
    flagged: int = 0
    """Of them, those that a person is told of."""
    failures: list[Failure] = field(factory=list)

    def count(self, world: World, number: int) -> None:
        """Add a world that has ended."""
        self.worlds += 1
        self.orders += len(world.shop.orders)
        self.calls += world.recorder.calls
        self.deaths += world.deaths
        self.taken += len(world.recorder.taken)
        self.said.update(world.said)
        self.met.update(world.weather.met)
        for row in world.ended:
            self.ended[row.state.value] += 1
            self.flagged += row.attention is not None
        if world.judge.violations:
            self.failures.append(Failure(self.provider, number, [str(v) for v in world.judge.violations]))

    def add(self, other: Tally) -> None:
        """Add what another process counted."""
        for name in ("worlds", "orders", "seconds", "calls", "deaths", "taken", "flagged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("said", "met", "ended"):
            getattr(self, name).update(getattr(other, name))
        self.failures += other.failures

    def faults(self, kind: str) -> int:
        """How often a call of that kind went wrong."""
        return sum(n for (asked, _), n in self.met.items() if asked == kind)


COLUMNS = ("provider", "ledger", "charges", "calls", "faults", "deaths", "paid", "no", "unknown", "for a person",
           "violations", "charges/s")


def rows(tallies: Sequence[Tally]) -> list[tuple[str, ...]]:
    """The summary's lines."""
    return [(t.provider, t.ledger, f"{t.orders:,}", f"{t.calls:,}", f"{t.met.total():,}", f"{t.deaths:,}",
             f"{t.said['paid']:,}", f"{t.said['no']:,}", f"{t.said['unknown']:,}", f"{t.flagged:,}",
             str(sum(len(f.violations) for f in t.failures)), f"{t.orders / t.seconds:,.0f}" if t.seconds else "–")
            for t in tallies]


def table(tallies: Sequence[Tally]) -> str:
    """The summary, for a terminal."""
    lines = [COLUMNS, *rows(tallies)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    shown = [[cell.ljust(w) if n < 2 else cell.rjust(w) for n, (cell, w) in enumerate(zip(line, widths, strict=True))]
             for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in shown)
