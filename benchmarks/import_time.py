"""What `import paygate` costs a cold process beside `import httpx`: both above an empty one, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

CASES = {"nothing": "pass", "paygate": "import paygate", "door": "from paygate.transport import AsyncDoor, Door",
         "httpx": "import httpx"}


def cold_s(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    for code in CASES.values():
        cold_s(code)
    rounds = [{name: cold_s(code) for name, code in CASES.items()} for _ in range(15)]
    above = {name: [r[name] - r["nothing"] for r in rounds] for name in CASES}
    print(f"{'':<36} {'ms above an empty process':<26}  {'of import httpx':<18} target")
    for name, target in (("httpx", ""), ("paygate", "<= 0.40, then 0.05"), ("door", "(for comparison)")):
        low, middle, high = (1000 * q for q in statistics.quantiles(above[name], n=4))
        ratios = [ours / theirs for ours, theirs in zip(above[name], above["httpx"], strict=True)]
        few, half, most = statistics.quantiles(ratios, n=4)
        shown = f"{middle:6.1f} [{low:.1f} {high:.1f}]"
        print(f"{CASES[name][:36]:<36} {shown:<26}  {half:5.2f} [{few:4.2f} {most:4.2f}]  {target}")


if __name__ == "__main__":
    main()
