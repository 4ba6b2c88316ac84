#!/usr/bin/env python3
"""Two commands, from nothing but Python 3.11 or later: `python3 run.py demo` and `python3 run.py test`.

Each makes .venv beside this file, installs the hash-pinned requirements and this repository's own packages into it,
and goes on in there: `paygate demo`, or every check that a change must pass. The second time, only what changed
is installed. Standard library only; nothing of paygate is imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
PAYGATE = BIN / ("paygate.exe" if os.name == "nt" else "paygate")
OLDEST = (3, 11)

# What each command needs, smallest first: a larger set holds the smaller ones at the same versions.
NEEDS = {"demo": "demo.txt", "test": "dev.txt"}
USAGE = """usage: python3 run.py demo [arguments of `paygate demo`]
       python3 run.py test [arguments of nox, such as: -s lint]"""


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST:
        return fail(f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed; {sys.executable} is {sys.version.split()[0]}.")
    if not arguments or arguments[0] not in NEEDS:
        print(USAGE, file=sys.stderr)
        return 2
    command, rest = arguments[0], arguments[1:]
    if (problem := prepare(NEEDS[command])) is not None:
        return fail(problem)
    if command == "demo":
        return call([str(PAYGATE), "demo", *rest])
    code = call([str(PYTHON), "-m", "nox", *rest])
    say("all checks passed" if code == 0 else "some checks FAILED; the list above says which")
    return code


def prepare(needs: str) -> str | None:
    """Bring .venv up to date; a sentence where that failed."""
    if not works():
        say(f"making .venv with Python {sys.version.split()[0]}")
        try:
            import ensurepip  # noqa: F401
            import venv
        except ImportError:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            return f"This Python lacks the modules venv and ensurepip. On Debian or Ubuntu: apt-get install {package}"
        if VENV.exists():
            shutil.rmtree(VENV)
        try:
            venv.create(VENV, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"Making .venv failed: {error}"
    projects = [ROOT, *sorted(p.parent for p in ROOT.glob("providers/*/pyproject.toml"))]
    done = read_stamp()
    sets = list(NEEDS.values())
    if not any(done.get(name) == digest(ROOT / "requirements" / name) for name in sets[sets.index(needs):]):
        say(f"installing requirements/{needs} (hash-checked)")
        if call(pip("--require-hashes", "-r", str(ROOT / "requirements" / needs))) != 0:
            return f"Installing requirements/{needs} failed; what pip said stands above."
        done[needs] = digest(ROOT / "requirements" / needs)
        write_stamp(done)
    ours = digest(*(p / "pyproject.toml" for p in projects))
    if done.get("local") != ours:
        say(f"installing {', '.join(p.name if p != ROOT else 'the core' for p in projects)} from here")
        editable = [part for project in projects for part in ("--editable", str(project))]
        if call(pip("--no-deps", "--no-build-isolation", *editable)) != 0:
            return "Installing this repository's own packages failed; what pip said stands above."
        write_stamp({**done, "local": ours})
    return None


def works() -> bool:
    """True where .venv is there, can run, and was made by a Python like this one."""
    try:
        said = subprocess.run([PYTHON, "-c", "import sys, pip; print(*sys.version_info[:2])"], capture_output=True,
                              text=True, env=environment(), check=False).stdout
    except OSError:
        return False
    return said.split() == [str(n) for n in sys.version_info[:2]]


def pip(*arguments: str) -> list[str]:
    # Twice quiet: errors only. A machine's own pip settings may make it warn once per package.
    return [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *arguments]


def digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(f.name.encode() + b"\0" + f.read_bytes() for f in files)).hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        made = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def write_stamp(done: dict[str, str]) -> None:
    STAMP.write_text(json.dumps(done, indent=1), encoding="utf-8")


def environment() -> dict[str, str]:
    """This process's environment, without what would let another installation's modules in."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {**env, "PATH": os.pathsep.join([str(BIN), env.get("PATH", os.defpath)]), "VIRTUAL_ENV": str(VENV)}


def call(command: list[str]) -> int:
    """Run a command to its end; its exit code, or 130 where it was interrupted."""
    try:
        return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
    except KeyboardInterrupt:
        return 130


def say(text: str) -> None:
    print(f"run.py: {text}", flush=True)


def fail(text: str) -> int:
    print(f"run.py: {text}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
