"""`paygate new-provider`: what it writes keeps the contract, type-checks, and knows nothing that is not public."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import paygate
from paygate.cli.group import group
from paygate.testing.simulation.__main__ import main as simulate

NAME, PACKAGE = "acme-cards", "paygate_acme_cards"
# Beside `paygate` itself: reading JSON, and what emulators and their tests are made of.
PUBLIC = {"paygate.codec": {"Unreadable", "read_object"}, "paygate.testing.story": {"Story"},
          "paygate.testing": {"Emulator", "FaultKind", "ProviderContract", "VirtualClock"},
          "paygate.testing.emulator": {"Call", "json_response"}, "paygate.testing.asks": {"Asks", "fields"}}


def new(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["new-provider", *arguments])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    result = new(NAME, "--title", "Acme Cards 에이스", "--into", str(folder))
    assert result.exit_code == 0, result.output
    return folder / f"paygate-{NAME}"


@pytest.fixture
def installed(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """As after `pip install --editable`, and gone again afterwards."""
    info = tmp_path / f"{PACKAGE}-0.1.0.dist-info"
    info.mkdir()
    project = tomllib.loads((written / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    info.joinpath("METADATA").write_text(told)
    (name, module), = project["entry-points"]["paygate"].items()
    info.joinpath("entry_points.txt").write_text(f"[paygate]\n{name} = {module}\n")
    for folder in (tmp_path, written):
        monkeypatch.syspath_prepend(str(folder))
    yield written
    for module in [m for m in sys.modules if m.partition(".")[0] == PACKAGE]:
        del sys.modules[module]
    importlib.invalidate_caches()


def test_it_writes_a_whole_package_and_says_what_comes_next(tmp_path: Path) -> None:
    result = new(NAME, "--into", str(tmp_path))

    root = tmp_path / f"paygate-{NAME}"
    assert {f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file()} == {
        "pyproject.toml", "README.md", ".github/workflows/ci.yml", "tests/test_contract.py",
        *(f"{PACKAGE}/{file}" for file in ("__init__.py", "emulator.py", "profile.py", "provider.py", "py.typed",
                                           "settings.py", "words.py"))}
    assert f"paygate contract {NAME}" in result.output
    assert "- [ ] `emulator.py`" in (root / "README.md").read_text(encoding="utf-8")
    assert "{{" not in "".join(f.read_text(encoding="utf-8") for f in root.rglob("*.py"))


def test_its_contract_run_is_green_and_lists_what_is_left(installed: Path) -> None:
    result = CliRunner().invoke(group, ["contract", NAME])

    assert result.exit_code == 0, result.output
    said = result.output.splitlines()
    assert " 0 broken, " in said[0]
    assert said[1].startswith("not claimed: register, ")
    assert said[2].startswith("assumed: currencies, ")


def test_it_is_simulated_as_it_stands(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(["--provider", NAME, "--charges", "75", "--seed", "mine", "--ledger", "memory",
                     "--processes", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[-1].split()[:2] == [NAME, "memory"]


def test_its_contract_test_is_a_class_of_the_whole_contract(written: Path) -> None:
    text = (written / "tests/test_contract.py").read_text(encoding="utf-8")

    assert text == ("from paygate.testing import ProviderContract\n\n\n"
                    f'class TestAcmeCards(ProviderContract):\n    provider = "{NAME}"\n')


def test_a_strict_type_checker_finds_nothing(written: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="NOT CHECKED here: mypy is not installed; the wheel session checks it")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), PACKAGE, "tests"],
                          cwd=written, capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_imports_public_names_only(written: Path) -> None:
    for file in written.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not [a.name for a in node.names if a.name.startswith("paygate")], file
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("paygate"):
                public = set(paygate.__all__) if node.module == "paygate" else PUBLIC[node.module or ""]
                assert {a.name for a in node.names} <= public, file


def test_its_own_ci_runs_the_contract_and_the_type_checker(written: Path) -> None:
    text = (written / ".github/workflows/ci.yml").read_text(encoding="utf-8")

    assert "${{ matrix.python }}" in text
    for command in ("python -m pytest", f"python -m mypy {PACKAGE}", f"paygate contract {NAME}"):
        assert f"- run: {command}" in text


def test_nothing_that_is_there_is_written_over(written: Path) -> None:
    before = {f: f.read_bytes() for f in written.rglob("*") if f.is_file()}

    result = new(NAME, "--into", str(written.parent))

    assert result.exit_code == 2
    assert "is there already" in result.output
    assert {f: f.read_bytes() for f in written.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize("name", ["Acme", "acme_cards", "-acme", "acme--cards", "../acme", "1acme", "a" * 31, "acme\n"])
def test_a_name_that_is_none_is_refused_and_nothing_written(name: str, tmp_path: Path) -> None:
    assert new("--into", str(tmp_path), "--", name).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("title", ["", " ", 'a"b', "a\nb", "{{ name }}", "a\\", "a" * 81])
def test_a_title_that_would_end_a_text_early_is_refused(title: str, tmp_path: Path) -> None:
    assert new("acme", "--title", title, "--into", str(tmp_path)).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["provider", "settings", "none", "test", "fakepg", "import", "pay"])
def test_names_that_mean_something_else_make_a_package_too(name: str, tmp_path: Path) -> None:
    assert new(name, "--into", str(tmp_path)).exit_code == 0

    for file in tmp_path.rglob("*.py"):
        compile(file.read_text(encoding="utf-8"), str(file), "exec")
