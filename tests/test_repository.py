"""What the repository may hold: no registry hosts, lock files or machine paths; hashed requirements; one packaging."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [ROOT, *sorted(p.parent for p in ROOT.glob("providers/*/pyproject.toml"))]
REQUIREMENTS = sorted(ROOT.glob("requirements/*.txt"))
FRAGMENT = re.compile(r"[a-z0-9][a-z0-9-]*\.(added|changed|fixed|removed)\.md")

# Spelled apart, so that this file does not hold what it looks for.
HOSTS = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs")))
LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
MACHINE_PATHS = re.compile("|".join("/" + p for p in ("work/", "farm/", "opt/", "root/", "tmp/bash", "home/[a-z]")))

pytestmark = pytest.mark.checkout


def _tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for file in _tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        where = file.relative_to(ROOT)
        found += [f"{where}:{n}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return found


def _project(where: Path) -> dict[str, Any]:
    with (where / "pyproject.toml").open("rb") as file:
        made: dict[str, Any] = tomllib.load(file)
    return made


def _pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_no_file_names_a_package_registrys_host() -> None:
    assert _lines_with(HOSTS) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert _lines_with(MACHINE_PATHS) == []


def test_there_are_no_lock_files() -> None:
    assert [f.name for f in _tracked() if f.name in LOCKS] == []


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda f: f.name)
def test_every_requirement_is_pinned_and_hashed_and_names_no_address(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    entries = [e for e in re.sub(r"\\\n", " ", text).splitlines() if e.strip() and not e.startswith("#")]

    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+]+(?: +--hash=sha256:[0-9a-f]{64})+ *", entry), entry[:80]


def test_each_requirements_file_holds_the_smaller_one_at_the_same_versions() -> None:
    runtime, test, dev = (_pins(ROOT / "requirements" / f"{name}.txt") for name in ("runtime", "test", "dev"))

    assert runtime.items() <= test.items() <= dev.items()


def test_every_package_the_projects_declare_is_in_the_requirements() -> None:
    core = _project(ROOT)["project"]
    asked = {re.split(r"[<>=!\[; ]", need)[0] for need in
             [*core["dependencies"], *(n for extra in core["optional-dependencies"].values() for n in extra)]}

    runtime = _pins(ROOT / "requirements/runtime.txt")
    assert {re.split(r"[<>=!\[; ]", n)[0] for n in core["dependencies"]} <= set(runtime)
    assert asked <= set(_pins(ROOT / "requirements/test.txt"))


def test_the_lowest_requirements_are_the_lower_bounds() -> None:
    core, lowest = _project(ROOT)["project"], _pins(ROOT / "requirements/lowest.txt")
    for need in [*core["dependencies"], *(n for extra in core["optional-dependencies"].values() for n in extra)]:
        name, bound = re.match(r"([a-z0-9-]+)(?:\[\w+\])?>=([0-9.]+)", need).groups()  # type: ignore[union-attr]
        assert re.sub(r"(\.0)+$", "", lowest[name]) == re.sub(r"(\.0)+$", "", bound), need


def test_the_core_depends_on_four_packages() -> None:
    assert sorted(re.split(r"[<>=]", n)[0] for n in _project(ROOT)["project"]["dependencies"]) == [
        "attrs", "cattrs", "httpx", "pluggy"]


@pytest.mark.parametrize("where", PROJECTS, ids=lambda p: p.name)
def test_every_project_is_built_and_typed_alike(where: Path) -> None:
    ours, core = _project(where), _project(ROOT)
    package, = ours["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert ours["build-system"] == core["build-system"]
    for key in ("license", "license-files", "requires-python", "authors"):
        assert ours["project"][key] == core["project"][key], key
    assert (where / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (where / package / "py.typed").exists()
    assert "Typing :: Typed" in ours["project"]["classifiers"]


@pytest.mark.parametrize("where", PROJECTS[1:], ids=lambda p: p.name)
def test_every_provider_is_named_for_its_package_and_plugs_in(where: Path) -> None:
    ours = _project(where)
    package, = ours["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert ours["project"]["name"] == package.replace("_", "-") == f"paygate-{where.name}"
    assert any(n.startswith("paygate-core>=") for n in ours["project"]["dependencies"])
    assert set(ours["project"]["entry-points"]) == {"paygate"}
    for name, target in ours["project"]["entry-points"]["paygate"].items():
        assert name.startswith(where.name)
        assert target.partition(":")[0].partition(".")[0] == package


def test_every_changelog_fragment_is_named_for_its_kind() -> None:
    names = {f.name for f in (ROOT / "changelog.d").iterdir()} - {"README.md", "template.md.jinja"}

    assert [n for n in sorted(names) if not FRAGMENT.fullmatch(n)] == []
