"""The built wheels: `build OUT` makes and inspects them, `import` loads every module of the installed ones,
`copy-tests OUT` lays out the tests where no source is near. Called by the nox session `wheel`.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [ROOT, *sorted(p.parent for p in ROOT.glob("providers/*/pyproject.toml"))]
NOT_SOURCE = shutil.ignore_patterns(".git", ".venv", ".nox", "__pycache__", ".*_cache", ".hypothesis", "_build", "dist")

# What a module may lack in an installation without extras, by where the module is.
EXTRAS = {
    "paygate.cli": {"click", "rich", "h11"},
    "paygate.sandbox": {"click", "rich", "h11"},
    "paygate.testing": {"pytest", "hypothesis", "_pytest"},
    "paygate.web": {"django", "flask", "starlette"},
    "paygate.ledger.postgres": {"psycopg"},
    "paygate.workers": {"celery", "procrastinate"},
}


def build(out: Path) -> list[str]:
    """Build each wheel from its sdist and again from a copy elsewhere; what is wrong with them."""
    elsewhere = out.parent / "copy of the source"
    shutil.copytree(ROOT, elsewhere, ignore=NOT_SOURCE, copy_function=shutil.copy)  # other times than the original's
    problems = []
    for project in PROJECTS:
        name = project.relative_to(ROOT)
        first, second = out.parent / "first" / name, out.parent / "second" / name
        _build(project, first)
        _build(elsewhere / name, second, "--wheel")
        (made,), (again,) = first.glob("*.whl"), second.glob("*.whl")
        if made.read_bytes() != again.read_bytes():
            problems.append(f"{made.name}: two builds differ")
        problems += [f"{made.name}: {p}" for p in inspect(project, made)]
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, out)
        print(f"built {made.name}, {made.stat().st_size // 1024} KiB", flush=True)
    return problems


def _build(project: Path, out: Path, *options: str) -> None:
    # Files made for the build get 0600 under some umasks, and a wheel records permissions.
    old = os.umask(0o022)
    try:
        subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, *options, project],
                       check=True, stdout=subprocess.DEVNULL)
    finally:
        os.umask(old)


def inspect(project: Path, wheel: Path) -> list[str]:
    """Where a wheel holds more or less than its package, its licence and its metadata."""
    with (project / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)
    package, = declared["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    source = {f.relative_to(project).as_posix() for f in (project / package).rglob("*")
              if f.is_file() and "__pycache__" not in f.parts}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    info = {n for n in held if n.partition("/")[0].endswith(".dist-info")}
    problems = [f"lacks {n}" for n in sorted(source - held)]
    problems += [f"holds {n}, which is not in {package}/" for n in sorted(held - info - source)]
    problems += [f"holds a test, {n}" for n in sorted(held - info) if _is_test(n)]
    problems += [f"lacks {n}" for n in ("METADATA", "entry_points.txt", "licenses/LICENSE")
                 if not any(i.endswith(f".dist-info/{n}") for i in info)]
    if f"{package}/py.typed" not in held:
        problems.append("lacks py.typed")
    return problems


def _is_test(name: str) -> bool:
    *folders, file = name.split("/")
    return "tests" in folders or file == "conftest.py" or (file.startswith("test_") and file.endswith(".py"))


def import_all() -> list[str]:
    """Import every module of the installed paygate packages; what fails without being an extra's."""
    problems = []
    for distribution in metadata.distributions():
        if not distribution.name.startswith("paygate-"):
            continue
        for top in sorted({f.parts[0] for f in distribution.files or [] if f.name == "__init__.py"}):
            package = importlib.import_module(top)
            if ROOT in Path(package.__file__ or "").parents and "site-packages" not in (package.__file__ or ""):
                problems.append(f"{top} comes from the source tree")
            for module in [top, *(m.name for m in pkgutil.walk_packages(package.__path__, f"{top}.", onerror=print))]:
                if (problem := _import(module)) is not None:
                    problems.append(problem)
    return problems


def _import(module: str) -> str | None:
    if module.endswith("__main__"):
        return None
    try:
        importlib.import_module(module)
    except ImportError as error:
        lacking = (error.name or "").partition(".")[0]
        if not any(module.startswith(place) and lacking in names for place, names in EXTRAS.items()):
            return f"{module} needs {lacking or error}, which a plain installation does not have"
    except SystemExit as error:
        return f"{module} exits when it is imported: {error}"
    return None


def copy_tests(out: Path) -> list[str]:
    """Copy tests, pages with examples and the pytest settings; no package's source."""
    for tests in [ROOT / "tests", *(p / "tests" for p in PROJECTS[1:])]:
        if tests.is_dir():
            shutil.copytree(tests, out / tests.relative_to(ROOT), ignore=NOT_SOURCE)
    for folder in ("docs", "examples"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, out / folder, ignore=NOT_SOURCE)
    for file in [ROOT / "pyproject.toml", *ROOT.glob("*.md"), *ROOT.glob("conftest.py"), *ROOT.glob("providers/*/*.md"),
                 *ROOT.glob("providers/*/pyproject.toml")]:
        target = out / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return []


def main(arguments: list[str]) -> int:
    match arguments:
        case ["build", out]:
            problems = build(Path(out))
        case ["import"]:
            problems = import_all()
        case ["copy-tests", out]:
            problems = copy_tests(Path(out))
        case _:
            print("usage: tools/wheels.py build OUT | import | copy-tests OUT", file=sys.stderr)
            return 2
    for problem in problems:
        print(f"wheels: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
