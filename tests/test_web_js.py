"""paygate.js: its behaviour in a page made by hand (tests/js, run by node), its types, its size, what it may not use.

Where node or npm is missing those tests are skipped, aloud; in CI that is a failure.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from paygate.web import page

JS = Path(__file__).parent / "js"
SCRIPT = Path(page.__file__).parent / "js" / "paygate.js"


def tool(name: str) -> str:
    """The path of a program that these tests need."""
    found = shutil.which(name)
    if found is None:
        absent(f"{name} is not on this machine: paygate.js is NOT tested")
    return found


def absent(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def run(*command: str, cwd: Path = JS, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env={**os.environ, "PAYGATE_JS": str(SCRIPT)}, capture_output=True,
                          text=True, check=False, timeout=timeout)


def test_it_brings_the_payer_back_whatever_the_pg_wants_of_the_browser() -> None:
    done = run(tool("node"), "--test", "--test-reporter=tap", ".")

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert int(re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)[0]) > 40


def test_its_types_are_right(tmp_path: Path) -> None:
    checker = shutil.which("tsc") or _installed(tmp_path)
    for file in (SCRIPT, SCRIPT.with_name("types.d.ts"), JS / "tsconfig.json"):
        shutil.copy(file, tmp_path)

    done = run(checker, "--project", str(tmp_path), cwd=tmp_path)

    assert done.returncode == 0, done.stdout
    (tmp_path / "paygate.js").write_text(SCRIPT.read_text("utf-8").replace("checkout.complete", "checkout.complet"),
                                         "utf-8")
    assert run(checker, "--project", str(tmp_path), cwd=tmp_path).returncode != 0


def _installed(folder: Path) -> str:
    """The pinned type checker, from the package registry that npm is set up for."""
    npm = tool("npm")
    # Hashes without addresses; npm wants it under the name of a lock file.
    for file, name in (("package.json", "package.json"), ("pinned.json", "package-lock.json")):
        shutil.copy(JS / file, folder / name)
    try:
        done = run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
        why = done.stderr.strip()[-200:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        why = "npm did not answer"
    if why:
        absent(f"the type checker cannot be installed: the types of paygate.js are NOT checked ({why})")
    return str(folder / "node_modules" / ".bin" / "tsc")


def test_it_is_below_five_kilobytes_on_the_wire() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes(), 9)) < 5_000


@pytest.mark.parametrize("word", ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function(",
                                  '"style"', "cssText", "localStorage", "XMLHttpRequest"])
def test_it_needs_nothing_that_a_strict_policy_forbids(word: str) -> None:
    assert word not in SCRIPT.read_text("utf-8")
