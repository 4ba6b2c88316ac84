"""10,000 charges at every provider on SQLite and 2,000 on PostgreSQL, while nearly everything goes wrong.

One seed, so that a change is what turns it red; `nox -s simulate` takes any other. Exits with 1 where something was
violated, and says how to see it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pg_server import database

from paygate.testing.simulation.__main__ import main

SEED = "paygate"

if __name__ == "__main__":
    code = main(["--charges", "10000", "--seed", SEED])
    with database() as dsn:
        code |= main(["--charges", "2000", "--seed", SEED, "--ledger", "postgres", "--dsn", dsn])
    sys.exit(code)
