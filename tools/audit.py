"""What is in the box: known vulnerabilities, licences of the run-time packages, and a CycloneDX list of them.

pip-audit looks vulnerabilities up over the network. Where its source does not answer, this says so in capitals and
judges only what can be judged here; it never counts "could not look" as "nothing found".
Called by the nox session `audit` with the file to write the list to.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# Licences that a merchant can ship with closed code. A new one is a decision, not a line.
ALLOWED = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0", "ISC"}
CLASSIFIERS = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
NAMES = {"MIT License": "MIT", "BSD": "BSD-3-Clause", "Apache 2.0": "Apache-2.0"}


def pins(name: str) -> dict[str, str]:
    """Package and version of each entry of a requirements file.

    Raises: ValueError for an entry without a hash.
    """
    found: dict[str, str] = {}
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for entry in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: +--hash=sha256:[0-9a-f]{64})+", entry)
        if match is None:
            raise ValueError(f"{name}: not pinned and hashed: {entry[:60]}")
        found[match[1]] = match[2]
    return found


def vulnerabilities(name: str) -> tuple[list[str], int, int]:
    """What pip-audit knows of a requirements file: (findings, packages looked up, packages it could not look up)."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements" / name),
               "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return [], 0, len(pins(name))
    skipped = sum("skip_reason" in a for a in answers)
    found = [f"{a['name']} {a['version']}: {v['id']}, fixed in {', '.join(v['fix_versions']) or 'no version'}"
             for a in answers for v in a.get("vulns", ())]
    return found, len(answers) - skipped, skipped


def licence(package: str) -> str:
    """The SPDX expression a package declares, or what comes closest to one; "unknown" where it declares nothing."""
    declared = metadata.metadata(package)
    if "License-Expression" in declared:
        return declared["License-Expression"]
    for classifier in declared.get_all("Classifier", []):
        if classifier in CLASSIFIERS:
            return CLASSIFIERS[classifier]
    said = declared["License"].strip().splitlines()[0] if "License" in declared else "unknown"
    return NAMES.get(said, said)


def is_allowed(expression: str) -> bool:
    """True where every part of an SPDX expression is on the list."""
    words = [w for w in re.findall(r"[A-Za-z0-9.+-]+", expression) if w not in ("AND", "OR")]
    return bool(words) and all(w in ALLOWED for w in words)


def bill(packages: dict[str, str]) -> dict[str, Any]:
    """A CycloneDX 1.6 document: paygate-core, each provider, and every package a plain installation brings."""
    ours = []
    for project in [ROOT, *sorted(p.parent for p in ROOT.glob("providers/*/pyproject.toml"))]:
        with (project / "pyproject.toml").open("rb") as file:
            ours.append(tomllib.load(file)["project"])
    core, *providers = ours
    needs = {name: sorted(_needs(name, set(packages))) for name in packages}
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": _component(core["name"], core["version"], core["license"])},
        "components": [*(_component(p["name"], p["version"], p["license"]) for p in providers),
                       *(_component(n, v, licence(n)) for n, v in sorted(packages.items()))],
        "dependencies": [{"ref": core["name"], "dependsOn": sorted(_names(core["dependencies"]))},
                         *({"ref": p["name"], "dependsOn": sorted(_names(p["dependencies"]))} for p in providers),
                         *({"ref": n, "dependsOn": d} for n, d in sorted(needs.items()))],
    }


def _component(name: str, version: str, expression: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": name, "name": name, "version": version,
            "purl": f"pkg:pypi/{name}@{version}", "licenses": [{"expression": expression}]}


def _names(needs: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[;( ]", need)[0].lower().replace("_", "-") for need in needs}


def _needs(package: str, among: set[str]) -> set[str]:
    return _names(metadata.requires(package) or []) & among


def main(out: Path) -> int:
    problems: list[str] = []
    for name in ("runtime.txt", "demo.txt", "test.txt", "dev.txt", "lowest.txt"):
        print(f"audit: {name}: {len(pins(name))} packages, each pinned and hashed", flush=True)
    found, looked_up, skipped = vulnerabilities("dev.txt")
    problems += found
    if looked_up:
        print(f"audit: looked {looked_up} packages up for known vulnerabilities, {len(found)} found")
    if skipped:
        print(f"audit: !!! KNOWN VULNERABILITIES WERE NOT LOOKED UP for {skipped} packages: pip-audit's source does "
              f"not answer from here. Run this session where it does before a release. !!!")
    runtime = pins("runtime.txt")
    for package, version in runtime.items():
        if metadata.version(package) != version:
            problems.append(f"{package} {metadata.version(package)} is installed, {version} is pinned")
        if not is_allowed(licence(package)):
            problems.append(f"{package}: licence {licence(package)!r} is not on the list")
        print(f"audit: {package} {version}: {licence(package)}")
    out.write_text(json.dumps(bill(runtime), indent=1), encoding="utf-8")
    print(f"audit: CycloneDX list written to {out}")
    for problem in problems:
        print(f"audit: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
