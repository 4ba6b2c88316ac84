"""Run the one script against a sandbox of each gateway in settings/: `python examples/switching/run.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from script import shop

from paygate import MemoryLedger, connect
from paygate.sandbox import Sandbox

SETTINGS = sorted((Path(__file__).parent / "settings").glob("*.json"))


def run(name: str, settings: Mapping[str, Any], box: Sandbox) -> list[str]:
    """Be the merchant, with the sandbox as the gateway and as the payer's browser."""
    def page(action: Mapping[str, Any]) -> Mapping[str, str]:
        with box.lock:
            return box.emulator(name).browse(action)

    with connect(name, settings, ledger=MemoryLedger(), base_url=box.url(name), clock=box.clock) as gate:
        return shop(gate, page)


def main() -> None:
    for file in SETTINGS:
        name = file.stem
        with Sandbox([name]) as box:
            told = run(name, json.loads(file.read_text(encoding="utf-8")), box)
        print("\n    ".join([name, *told]))


if __name__ == "__main__":
    main()
