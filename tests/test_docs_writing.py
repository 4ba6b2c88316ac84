"""docs/providers/writing.md is followed to the letter: every command is run, every change made, in the page's order.

A ```text block holds lines that the commands before it must have said, or parts of them.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs/providers/writing.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Reader:
    """A stranger with a new environment, in which what the test runs with is installed already."""

    def __init__(self, home: Path) -> None:
        self.folder, self.said = home, ""
        venv.create(home / "venv", with_pip=False, symlinks=True)
        python, = (home / "venv/lib").glob("python*")
        here = "".join(f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages())
        (python / "site-packages/here.pth").write_text(here, encoding="utf-8")
        script = home / "venv/bin/paygate"
        script.write_text(f"#!{home}/venv/bin/python\nfrom paygate.cli import main\nmain()\n", encoding="utf-8")
        script.chmod(0o755)
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PIP_", "PYTHON", "COV_"))},
                    "PATH": f"{home}/venv/bin{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "",
                    # Nothing is fetched: what is needed is there.
                    "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                    "PIP_NO_BUILD_ISOLATION": "0"}  # pip takes the option's value, and that is "isolation: no".

    def run(self, block: str) -> None:
        self.said = ""
        for line in block.splitlines():
            command = line.removeprefix("$ ")
            assert line != command, f"{line!r} is no command"
            if command.startswith("cd "):
                self.folder /= command.removeprefix("cd ")
                continue
            if " mypy " in command and find_spec("mypy") is None:
                continue  # The wheel session has it, and runs it on a package of the same template.
            self._do(["bash", "-c", command])

    def change(self, block: str) -> None:
        (self.folder / "change.diff").write_text(block, encoding="utf-8")
        self._do(["git", "apply", "change.diff"])

    def compare(self, block: str) -> None:
        for line in block.splitlines():
            assert line in self.said, f"{line!r} is not in:\n{self.said}"

    def _do(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self.folder, env=self.env, text=True, check=False, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said += done.stdout
        assert done.returncode == 0, f"{command}: {done.stdout}"


@pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are those of a POSIX shell")
def test_the_page_takes_a_stranger_from_nothing_to_a_provider_that_keeps_the_contract(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    does = {"console": reader.run, "diff": reader.change, "text": reader.compare}

    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks].count("console") >= 7
    for kind, block in blocks:
        does[kind](block)

    badge = (tmp_path / "paygate-acme/contract.svg").read_text(encoding="utf-8")
    assert "broken" not in badge.replace("0 broken", "")
