"""Runs both type checkers over the snippets beside it: must_pass.py is right, must_fail.py wrong where it is marked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARK = "# error"


def marked(file: Path) -> set[int]:
    """The lines that must be refused."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {n for n, line in enumerate(lines, 1) if line.rstrip().endswith(MARK)}


def refused_by_mypy(file: Path) -> set[int]:
    said = _run("mypy", "--strict", "--output", "json", str(file))
    findings = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    _check_file(file, {Path(f["file"]) for f in findings})
    return {f["line"] for f in findings if f["severity"] == "error"}


def refused_by_basedpyright(file: Path) -> set[int]:
    said = json.loads(_run("basedpyright", "--pythonpath", sys.executable, "--outputjson", str(file)))
    if said["summary"]["filesAnalyzed"] != 1:
        raise SystemExit(f"check.py: basedpyright did not look at {file.name}")
    findings = [f for f in said["generalDiagnostics"] if f["severity"] == "error"]
    return {f["range"]["start"]["line"] + 1 for f in findings}


def _run(module: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False,
                          cwd=HERE.parents[1])
    if done.returncode not in (0, 1):
        raise SystemExit(f"check.py: {module} itself failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _check_file(file: Path, seen: set[Path]) -> None:
    if strays := [s for s in seen if s.name != file.name]:
        raise SystemExit(f"check.py: errors outside {file.name}: {', '.join(map(str, strays))}")


def main() -> int:
    wrong = 0
    for name in ("must_pass.py", "must_fail.py"):
        file = HERE / name
        due = marked(file)
        if (name == "must_fail.py") != bool(due):
            raise SystemExit(f"check.py: {name} has {len(due)} marked lines")
        for checker in (refused_by_mypy, refused_by_basedpyright):
            found, who = checker(file), checker.__name__.removeprefix("refused_by_")
            for line in sorted(due ^ found):
                what = "accepts what it must refuse" if line in due else "refuses what it must accept"
                print(f"{file.relative_to(HERE.parents[1])}:{line}: {who} {what}", file=sys.stderr)
            wrong += len(due ^ found)
            print(f"{name}: {who} refuses {len(found & due)} of {len(due)} marked lines, {len(found - due)} others")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
