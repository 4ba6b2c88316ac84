"""What stands between a commit and a release: run.py's plain words, the look inside a wheel, the audit's judgement."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_ENSUREPIP = "import sys, runpy; sys.modules['ensurepip'] = None; sys.argv = {argv!r}; " \
                    "runpy.run_path({path!r}, run_name='__main__')"

pytestmark = pytest.mark.checkout


def _tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _run(tmp_path: Path, *arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    copy = tmp_path / "run.py"
    shutil.copy(ROOT / "run.py", copy)
    start = [str(copy), *arguments]
    if code is not None:
        start = ["-c", code.format(argv=["run.py", *arguments], path=str(copy))]
    return subprocess.run([sys.executable, *start], capture_output=True, text=True, check=False, cwd=tmp_path)


def test_run_py_says_how_it_is_used_and_fails_where_it_was_asked_for_nothing(tmp_path: Path) -> None:
    done = _run(tmp_path)

    assert done.returncode == 2
    assert "python3 run.py demo" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_run_py_names_the_debian_package_where_python_cannot_make_an_environment(tmp_path: Path) -> None:
    done = _run(tmp_path, "test", code=WITHOUT_ENSUREPIP)

    assert done.returncode == 1
    assert f"apt-get install python3.{sys.version_info[1]}-venv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one package, small but whole."""
    (tmp_path / "paygate_x").mkdir()
    (tmp_path / "paygate_x/__init__.py").touch()
    (tmp_path / "paygate_x/py.typed").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.hatch.build.targets.wheel]\npackages = ["paygate_x"]\n')
    return tmp_path


def _wheel(project: Path, *more: str, less: str = "") -> Path:
    made = project / "x.whl"
    held = ["paygate_x/__init__.py", "paygate_x/py.typed", "x-1.dist-info/METADATA", "x-1.dist-info/entry_points.txt",
            "x-1.dist-info/licenses/LICENSE", *more]
    with zipfile.ZipFile(made, "w") as archive:
        for name in held:
            if name != less:
                archive.writestr(name, "")
    return made


def test_a_whole_wheel_passes(project: Path) -> None:
    assert _tool("wheels").inspect(project, _wheel(project)) == []


@pytest.mark.parametrize("less", ["paygate_x/__init__.py", "paygate_x/py.typed", "x-1.dist-info/licenses/LICENSE",
                                  "x-1.dist-info/entry_points.txt"])
def test_a_wheel_that_lacks_something_is_refused(project: Path, less: str) -> None:
    problems = _tool("wheels").inspect(project, _wheel(project, less=less))

    assert problems
    assert all(less.rpartition("/")[2] in p for p in problems)


@pytest.mark.parametrize("more", ["tests/test_x.py", "noxfile.py", "paygate/money.py"])
def test_a_wheel_that_holds_what_is_not_its_packages_is_refused(project: Path, more: str) -> None:
    assert f"holds {more}, which is not in paygate_x/" in _tool("wheels").inspect(project, _wheel(project, more))


@pytest.mark.parametrize("more", ["paygate_x/test_x.py", "paygate_x/tests/data.json", "paygate_x/conftest.py"])
def test_a_wheel_that_holds_a_test_of_its_package_is_refused(project: Path, more: str) -> None:
    (project / more).parent.mkdir(exist_ok=True)
    (project / more).touch()

    assert _tool("wheels").inspect(project, _wheel(project, more)) == [f"holds a test, {more}"]


@pytest.mark.parametrize(("expression", "allowed"), [
    ("MIT", True), ("BSD-3-Clause", True), ("Apache-2.0 OR BSD-2-Clause", True), ("MIT AND PSF-2.0", True),
    ("GPL-3.0-only", False), ("MIT AND LGPL-3.0-only", False), ("unknown", False), ("", False)])
def test_a_licence_passes_only_where_every_part_of_it_is_on_the_list(expression: str, allowed: bool) -> None:
    assert _tool("audit").is_allowed(expression) is allowed


@pytest.mark.parametrize("entry", ["httpx==0.28.1", "httpx>=0.28 --hash=sha256:" + "0" * 64, "httpx @ file:///x.whl"])
def test_the_audit_refuses_a_requirement_that_is_not_pinned_and_hashed(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/x.txt").write_text(f"{entry}\n")
    audit = _tool("audit")
    monkeypatch.setattr(audit, "ROOT", tmp_path)

    with pytest.raises(ValueError, match="not pinned and hashed"):
        audit.pins("x.txt")


def test_the_list_of_what_is_in_the_box_holds_every_run_time_package_and_says_what_needs_what() -> None:
    audit = _tool("audit")
    runtime = audit.pins("runtime.txt")

    bill = audit.bill(runtime)

    assert set(runtime) <= {c["name"] for c in bill["components"]}
    needs = {d["ref"]: d["dependsOn"] for d in bill["dependencies"]}
    assert needs["paygate-core"] == ["attrs", "cattrs", "httpx", "pluggy"]
    assert "httpcore" in needs["httpx"]
    assert needs["paygate-portone"] == ["paygate-core"]
