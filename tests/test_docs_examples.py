"""README and docs run as they stand: every Python block, in order, one namespace for each page.

A ```text block right after a Python block is what that block prints. A Python block whose first line is a comment
with a file's name is that file; test files among them are run by pytest when the page is through.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from sybil import Document, Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WITH_PYTHON = [p for p in PAGES if "```python" in p.read_text(encoding="utf-8")]
FILE = re.compile(r"# ([\w/]+\.py)\n")
TRANSLATED = [(ROOT / "README.md", ROOT / "README.ko.md"), (ROOT / "docs/tutorial.md", ROOT / "docs/tutorial.ko.md")]


class Runner:
    """Runs the blocks of one page in the current folder."""

    def __init__(self) -> None:
        self.said = StringIO()
        self._run = PythonEvaluator()
        self.sybil = Sybil(parsers=[CodeBlockParser("python", self.run), CodeBlockParser("text", self.compare)])

    def page(self, text: str) -> None:
        """Every block of a page's text, in order; raises at the first that fails."""
        page = Path("page.md")
        page.write_text(text, encoding="utf-8")
        document: Document = self.sybil.parse(page)
        for example in document.examples():
            example.evaluate()

    def run(self, example: Example) -> None:
        if found := FILE.match(example.parsed):
            Path(found[1]).write_text(example.parsed, encoding="utf-8")
            return
        self.said = StringIO()
        with redirect_stdout(self.said):
            self._run(example)

    def compare(self, example: Example) -> None:
        said, self.said = self.said.getvalue().strip(), StringIO()
        assert said == example.parsed.strip(), f"line {example.line}"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.chdir(tmp_path)
    return Runner()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_pages_python_runs_and_prints_what_the_page_says(page: Path, runner: Runner, tmp_path: Path) -> None:
    runner.page(page.read_text(encoding="utf-8"))

    if any(tmp_path.glob("test_*.py")):
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
                              cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("ours", "theirs"), TRANSLATED, ids=lambda p: p.name)
def test_a_translation_holds_the_same_code(ours: Path, theirs: Path) -> None:
    assert _blocks(ours) == _blocks(theirs)


def test_the_readmes_example_is_at_most_twenty_lines() -> None:
    example, = (code for language, code in _blocks(ROOT / "README.md") if language == "python")

    assert len(example.strip().splitlines()) <= 20


def test_the_readmes_example_runs_at_another_pg_unchanged_and_gives_the_registration_back(runner: Runner) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    runner.page(text.replace('"portone-naverpay"', '"steppay-unmanaged"'))


def test_the_readmes_example_stops_before_a_byte_leaves_where_a_verb_is_missing(runner: Runner) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    with pytest.raises(Exception, match="steppay-managed does not offer charge; nothing was sent"):
        runner.page(text.replace('"portone-naverpay"', '"steppay-managed"'))


def test_the_readmes_example_runs_again_in_the_same_folder(runner: Runner) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    runner.page(text)
    runner.page(text)

    assert Path("shop.db").exists()


def test_a_page_that_prints_something_else_is_noticed(runner: Runner) -> None:
    with pytest.raises(AssertionError, match="line 5"):
        runner.page("```python\nprint(1)\n```\n\n```text\n2\n```\n")


def _blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
