"""`python -m paygate.testing.simulation`: charges, refunds and dated charges in worlds where nearly all goes wrong."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence

from ...errors import PaygateError
from .duty import CannotJudge, hear
from .run import LEDGERS, Plan, providers, replay, simulate, spec_of
from .tally import Tally, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where nothing was violated, 1 where something was, 2 where nothing can be played as asked."""
    asked = _parser().parse_args(arguments)
    seed = asked.seed or secrets.token_hex(4)
    if asked.ledger == "postgres" and not asked.dsn:
        return _refused("a postgres ledger needs --dsn, or PAYGATE_SIMULATION_DSN")
    plans = [Plan(provider=name, ledger=asked.ledger, seed=seed, dsn=asked.dsn) for name in
             asked.provider or providers()]
    for plan in plans:
        try:
            for unplayed in hear(spec_of(plan.provider)):
                print(unplayed, file=sys.stderr)
        except (CannotJudge, PaygateError) as error:
            return _refused(str(error))
    if asked.world is not None:
        return _one(plans[0], asked.world)
    print(f"seed {seed}", flush=True)
    tallies = []
    for plan in plans:
        tallies.append(simulate(plan, asked.charges, processes=asked.processes, progress=_shown))
        if sys.stderr.isatty():
            print(file=sys.stderr)
    print(table(tallies))
    failures = [failure for tally in tallies for failure in tally.failures]
    for failure in failures:
        print(f"\n{failure.provider}, world {failure.world}:", *failure.violations[:5], sep="\n  ")
        print("  reproduce: " + next(p for p in plans if p.provider == failure.provider).command(failure.world))
    return 1 if failures else 0


def _refused(why: str) -> int:
    print(f"simulation: {why}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m paygate.testing.simulation", description=__doc__)
    made.add_argument("--charges", type=int, default=10_000, help="how many orders, for each provider")
    made.add_argument("--seed", help="where the worlds come from; drawn and printed if it is left out")
    made.add_argument("--provider", action="append", help="only this one (may be repeated)")
    made.add_argument("--ledger", choices=LEDGERS, default="sqlite")
    made.add_argument("--dsn", default=os.environ.get("PAYGATE_SIMULATION_DSN"), help="of a postgres ledger")
    made.add_argument("--processes", type=int, help="one for each core, if it is left out")
    made.add_argument("--world", type=int, help="only this one, with its whole history")
    return made


def _shown(tally: Tally) -> None:
    if sys.stderr.isatty():
        print(f"\r{tally.provider}: {tally.orders:,} charges, {len(tally.failures)} violated", end="", file=sys.stderr)


def _one(plan: Plan, number: int) -> int:
    world = replay(plan, number)
    for step, event in enumerate(world.recorder.history):
        print(step, json.dumps(event, default=str))
    print(*world.judge.violations, sep="\n")
    return 1 if world.judge.violations else 0


if __name__ == "__main__":
    sys.exit(main())
