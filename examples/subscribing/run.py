"""Run the one script against a sandbox of each gateway, for three months: `python examples/subscribing/run.py`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from script import TEA, begin, work

from paygate import KeyVault, MemoryLedger, connect, new_order_id, new_vault_key
from paygate.sandbox import Sandbox

CHARGED_BY = {
    "portone-naverpay": "the PG on the date that paygate gives it, one month after the other",
    "steppay-managed": "the PG",
    "steppay-unmanaged": "paygate",
}
MONTH_S = 31 * 86_400


def run(name: str, box: Sandbox) -> list[str]:
    """Be the merchant, with the sandbox as the gateway, as the payer's browser, and as time that passes."""
    def page(action: Mapping[str, Any]) -> Mapping[str, str]:
        return box.browse(name, action)

    order_id = new_order_id("tea-")
    with connect(name, box.settings(name), ledger=MemoryLedger(), base_url=box.url(name), clock=box.clock,
                 vault=KeyVault(new_vault_key())) as gate:
        begun = begin(gate, page, order_id)
        told = [f"{begun.status.value}, charged by {CHARGED_BY[name]}"]
        for _ in range(3):
            box.advance(MONTH_S)
            work(gate)
        told.append(f"after three months: {gate.subscription(order_id).status.value}")
    with box.lock:
        taken = [move for move in box.emulator(name).journal.entries if move.kind == "charge"]
    return [*told, f"the PG's journal: {len(taken)} charges of {TEA}"]


def main() -> None:
    for name in CHARGED_BY:
        with Sandbox([name]) as box:
            print("\n    ".join([name, *run(name, box)]))


if __name__ == "__main__":
    main()
