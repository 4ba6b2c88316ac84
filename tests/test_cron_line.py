"""The cron line of docs/operating.md, run by a shell: nobody is told of what is ordinary, and somebody of all else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from paygate.cli.books import NEEDS_A_PERSON, OPEN

PAGE = Path(__file__).parent.parent / "docs" / "operating.md"
needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock here")


@pytest.fixture
def line(tmp_path: Path) -> str:
    """The line, for a shop in a folder of its own."""
    found = re.search(r"^\* \* \* \* \* (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "env").write_text("")
    return found[1].replace("/srv/shop", str(tmp_path / "shop"))


def told(tmp_path: Path, line: str, code: int) -> bool:
    """Whether somebody is told, where `paygate reconcile` ends with `code`."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name, does in (("paygate", f"exit {code}"), ("notify-somebody", f"touch {tmp_path}/told")):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    subprocess.run(["/bin/sh", "-c", line], timeout=60, check=False, capture_output=True,
                   env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"})
    return (tmp_path / "told").exists()


@pytest.mark.checkout
@needs_flock
@pytest.mark.parametrize("code", [0, OPEN])
def test_what_is_ordinary_is_told_to_nobody(tmp_path: Path, line: str, code: int) -> None:
    assert not told(tmp_path, line, code)


@pytest.mark.checkout
@needs_flock
@pytest.mark.parametrize("code", [1, 2, NEEDS_A_PERSON, 70, 137])
def test_a_crash_and_whatever_needs_a_person_are_told(tmp_path: Path, line: str, code: int) -> None:
    assert told(tmp_path, line, code)


@pytest.mark.checkout
@needs_flock
def test_a_shop_that_is_not_there_and_a_lock_that_is_held_are_told(tmp_path: Path, line: str) -> None:
    assert told(tmp_path, line.replace("/shop &&", "/gone &&"), 0)
    (tmp_path / "told").unlink()
    lock = (tmp_path / "shop" / "reconcile.lock").open("w")
    try:
        with subprocess.Popen(["flock", str(lock.fileno())], pass_fds=[lock.fileno()]) as taking:
            assert taking.wait(60) == 0
        assert told(tmp_path, re.sub(r"-w \d+", "-w 0", line), 0)
    finally:
        lock.close()
