"""Every check a change must pass. `python3 run.py test` runs the default sessions from .venv, which holds dev.txt.

Sessions that need no Python of their own (lint, types, docs, audit) use the one nox runs in; the others make theirs.
Nothing here reaches further than the package index pip is set up for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PROVIDERS = sorted(p.parent for p in ROOT.glob("providers/*/pyproject.toml"))
PROJECTS = [ROOT, *PROVIDERS]
PACKAGES = ["paygate", *(str(f.parent.relative_to(ROOT)) for p in PROVIDERS for f in p.glob("paygate_*/__init__.py"))]
TESTS = [d for d in ("tests", *(f"providers/{p.name}/tests" for p in PROVIDERS)) if (ROOT / d).is_dir()]
SCRIPTS = ["run.py", "noxfile.py", "tools", "tests/typing/check.py"]
SUPPORTED = ("3.11", "3.12", "3.13")
# As many processes as cores; a file's tests stay together and in order, as its fixtures expect. The slowest come first.
PYTEST = ("-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
PIP = ("-qq", "--disable-pip-version-check", "--no-input")

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types", "docs", "wheel", "audit", "simulation"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "virtualenv"
os.environ.pop("PYTHONPATH", None)  # each session sees what it installed and nothing else


def _interpreters() -> list[str]:
    """The supported versions this machine has; puts a pyenv's own folder on PATH where its shim would not start."""
    found = []
    for version in SUPPORTED:
        here = f"{sys.version_info[0]}.{sys.version_info[1]}" == version
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        folders = [*([Path(sys._base_executable).parent] if here else []),  # type: ignore[attr-defined]
                   *sorted((f.parent for f in pyenv.glob(f"{version}.*/bin/python{version}")), reverse=True)]
        if _starts(f"python{version}", version):
            found.append(version)
        elif (folder := next((f for f in folders if _starts(str(f / f"python{version}"), version)), None)) is not None:
            os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
            found.append(version)
        elif os.name == "nt" and shutil.which("py"):
            found.append(version)  # nox asks the Windows launcher and skips what it lacks
    return found


def _starts(command: str, version: str) -> bool:
    try:
        said = subprocess.run([command, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
                              capture_output=True, text=True, check=False, timeout=60).stdout
    except OSError:
        return False
    return said.strip() == version


INTERPRETERS = _interpreters()
if MISSING := [v for v in SUPPORTED if v not in INTERPRETERS]:
    print(f"nox: !!! Python {', '.join(MISSING)} is not on this machine: its tests are NOT run !!!", flush=True)
if not INTERPRETERS:
    sys.exit(f"nox: none of Python {', '.join(SUPPORTED)} can be started; nothing would be tested")


def _install(session: nox.Session, requirements: str, *, local: bool) -> None:
    """Install a hash-pinned set, and this repository's packages in place; nothing where both are as they were."""
    stamp = Path(session.virtualenv.location) / "installed.json"
    files = [ROOT / "requirements" / requirements, *(p / "pyproject.toml" for p in PROJECTS if local)]
    state = {str(f.relative_to(ROOT)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    if stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == state:
        return
    session.install(*PIP, "--require-hashes", "-r", f"requirements/{requirements}")
    if local:
        editable = [part for p in PROJECTS for part in ("--editable", str(p))]
        session.install(*PIP, "--no-deps", "--no-build-isolation", *editable)
    stamp.write_text(json.dumps(state), encoding="utf-8")


def _pytest(session: nox.Session) -> None:
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
    else:
        session.run("python", *PYTEST, *TESTS)


def _here(session: nox.Session, module: str, *arguments: str) -> None:
    """Run a module of the environment that nox itself runs in."""
    session.run(sys.executable, "-m", module, *arguments, external=True)


@nox.session(python=INTERPRETERS)
def tests(session: nox.Session) -> None:
    """The core's and every provider's tests."""
    _install(session, "test.txt", local=True)
    _pytest(session)


@nox.session(python=INTERPRETERS[:1])
def lowest(session: nox.Session) -> None:
    """The tests with the oldest packages that pyproject.toml allows."""
    _install(session, "lowest.txt", local=True)
    _pytest(session)


@nox.session(python=False)
def coverage(session: nox.Session) -> None:
    """Which lines and branches the tests reach."""
    _here(session, "coverage", "run", "-m", "pytest", "-q", *(session.posargs or TESTS))
    _here(session, "coverage", "report")


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Rules of spelling and habit, and a changelog that can be put together."""
    _here(session, "ruff", "check", ".")
    _here(session, "towncrier", "build", "--draft", "--version", "next")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Two type checkers on the packages, and on snippets of a merchant's code that must and must not pass."""
    _here(session, "mypy", *PACKAGES)
    _here(session, "mypy", *SCRIPTS)
    _here(session, "basedpyright", "--pythonpath", sys.executable, "--level", "error", *PACKAGES)
    session.run(sys.executable, "tests/typing/check.py", external=True)


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """The documentation, with every warning an error; its examples and tables."""
    out = Path(session.create_tmp()).resolve() / "html"
    shutil.rmtree(out, ignore_errors=True)
    _here(session, "sphinx", "-q", "-W", "--keep-going", "-E", "-d", str(out.parent / "doctrees"), "docs", str(out))
    _here(session, "pytest", "-q", "tests/test_docs_examples.py", "tests/test_docs_pages.py")
    session.log(f"the pages are in {out}")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build every wheel twice, compare the bytes, look inside, run the tests against what is installed from them."""
    tmp = Path(session.create_tmp()).resolve()
    shutil.rmtree(tmp)
    tmp.mkdir(parents=True)
    session.run(sys.executable, "tools/wheels.py", "build", str(tmp / "wheels"), external=True)
    wheels = [str(w) for w in sorted((tmp / "wheels").glob("*.whl"))]

    # What a merchant gets who installs without extras.
    bare = tmp / "bare"
    python = str(bare / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    session.run(sys.executable, "-m", "venv", str(bare), external=True)
    for wanted in (["--require-hashes", "-r", "requirements/runtime.txt"], ["--no-deps", "--no-index", *wheels]):
        session.run(python, "-m", "pip", "install", *PIP, *wanted, external=True)
    session.run(python, "-m", "pip", "check", external=True)
    session.run(python, "-I", "tools/wheels.py", "import", external=True)

    # The tests, from a folder that holds no source to import by mistake.
    _install(session, "test.txt", local=False)
    session.install(*PIP, "--no-deps", "--no-index", "--force-reinstall", *wheels)
    session.run("python", "-m", "pip", "check")
    copy = tmp / "elsewhere"
    session.run(sys.executable, "tools/wheels.py", "copy-tests", str(copy), external=True)
    with session.chdir(copy):
        session.run("python", *PYTEST, "-m", "not checkout", *TESTS)
    _new_provider(session, tmp)


def _new_provider(session: nox.Session, tmp: Path) -> None:
    """A provider from the template of the installed core: its wheel, its contract and its types, out of any source."""
    session.run("paygate", "new-provider", "acme", "--into", str(tmp))
    made, site = tmp / "paygate-acme", tmp / "site of acme"
    session.run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp), str(made),
                external=True, silent=True)
    wheel, = (str(w) for w in tmp.glob("paygate_acme-*.whl"))
    session.run("python", "-m", "pip", "install", *PIP, "--no-deps", "--no-index", "--target", str(site), wheel)
    with session.chdir(made / "tests"):
        python = str(session.run("python", "-c", "import sys; print(sys.executable)", silent=True)).strip()
        session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", ".", env={"PYTHONPATH": str(site)})
        session.run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp / "mypy"), "--python-executable",
                    python, "-p", "paygate_acme", env={"MYPYPATH": str(site)}, external=True)


@nox.session(python=False)
def audit(session: nox.Session) -> None:
    """Known vulnerabilities where they can be looked up, licences, hashes, and a list of what the packages hold."""
    tmp = Path(session.create_tmp()).resolve()
    _here(session, "pip", "check")
    session.run(sys.executable, "tools/audit.py", str(tmp / "paygate.cdx.json"), external=True)


@nox.session(python=False)
def simulation(session: nox.Session) -> None:
    """10,000 charges at every provider on SQLite and 2,000 on PostgreSQL, while nearly everything goes wrong."""
    session.run(sys.executable, "tests/many_charges.py", external=True)


@nox.session(python=False)
def simulate(session: nox.Session) -> None:
    """Charges at every provider while nearly everything goes wrong: `-- --charges 10000 --seed S --ledger sqlite`."""
    _here(session, "paygate.testing.simulation", *session.posargs)


@nox.session(python=False)
def benchmarks(session: nox.Session) -> None:
    """Every file under benchmarks/, one after another; figures, not a verdict."""
    files = [str(f.relative_to(ROOT)) for f in sorted(ROOT.glob("benchmarks/*.py"))
             if not f.name.startswith(("_", "conftest", "test_"))]
    if not files:
        session.skip("there are no benchmarks")
    for file in session.posargs or files:
        session.run(sys.executable, file, external=True)
