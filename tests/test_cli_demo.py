"""`paygate demo` into a pipe, and `paygate --version`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

import paygate
from paygate.cli.group import group


@pytest.fixture
def said(tmp_path: Path) -> str:
    """What the demo writes into a pipe, on a machine whose terminal is narrow and where FakePG alone is installed."""
    (tmp_path / "shop_fakepg.py").write_text(
        "from paygate.plugins import hookimpl\nfrom paygate.testing.fakepg import FAKEPG\n"
        "@hookimpl\ndef paygate_providers():\n    return [FAKEPG]\n")
    info = tmp_path / "shop_fakepg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-fakepg\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[paygate]\nfakepg = shop_fakepg\n")
    path = os.pathsep.join([str(tmp_path), str(Path(paygate.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "paygate.cli", "demo"], capture_output=True, encoding="utf-8", check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "COLUMNS": "40",
             "PAYGATE_PLUGINS": "shop-fakepg:fakepg"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_into_a_pipe_nothing_is_drawn_cut_or_coloured(said: str) -> None:
    lines = said.splitlines()

    assert lines[0].startswith("fakepg against its emulator at http://127.0.0.1:")
    assert lines[0].endswith(": no real money")
    assert not set(said) & set("─━│┃┏┡└…\x1b")
    assert lines == [line.rstrip() for line in lines]
    assert any(line.startswith("5. The answer is lost after the PG took the money: never sent again  ")
               for line in lines)


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(group, ["--version"])

    assert (result.exit_code, result.output) == (0, f"paygate-core {version('paygate-core')}\n")
