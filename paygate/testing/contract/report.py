"""A contract run as something to show: one value, written as JSON, as a page and as a badge. Two runs, the same bytes.

No time of day, no duration, no path and no address of memory goes into it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from attrs import field, frozen

from ...capability import Capability
from ...plugins import printable
from .registry import Check
from .runner import Result, Verdict, run_check
from .subject import Subject

SEED = 0
"""Nothing in a run is drawn at random but by this."""


@frozen(kw_only=True)
class Line:
    """One check: how it ended over all its cases, and why, where there is something to say."""

    room: str
    name: str
    sentence: str
    says: str
    verdict: Verdict
    cases: int
    why: tuple[str, ...] = ()


@frozen(kw_only=True)
class Report:
    """A whole run."""

    provider: str
    title: str
    origin: str
    versions: dict[str, str]
    capabilities: dict[str, bool]
    profile: list[list[str]] = field(repr=False)
    lines: tuple[Line, ...] = field(repr=False)

    def count(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(line.verdict == verdict for line in self.lines)

    @property
    def holds(self) -> bool:
        """Whether nothing of the contract is broken."""
        return self.count("broken") == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-like data, its own hash included."""
        told: dict[str, Any] = {
            "provider": {"name": self.provider, "title": self.title, "origin": self.origin},
            "versions": self.versions, "seed": SEED, "capabilities": self.capabilities,
            "profile": [dict(zip(("entry", "meaning", "value", "certainty", "source"), row, strict=True))
                        for row in self.profile],
            "summary": {"holds": self.count("holds"), "broken": self.count("broken"),
                        "not here": self.count("not here")},
            "checks": [{"room": ln.room, "name": ln.name, "sentence": ln.sentence, "verdict": ln.verdict,
                        "cases": ln.cases, "why": list(ln.why)} for ln in self.lines]}
        text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return {**told, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def made(subject: Subject, checks: Iterable[Check]) -> Report:
    """Run the checks and tell how they ended."""
    spec = subject.spec
    return Report(
        provider=spec.name, title=spec.title, origin=subject.origin, versions=_versions(),
        capabilities={c.value: c in spec.capabilities for c in Capability},
        profile=[[name, meaning, str(getattr(fact.value, "value", fact.value)), fact.certainty.value, fact.source]
                 for name, meaning, fact in spec.profile.describe()],
        lines=tuple(_line(check, list(run_check(subject, check))) for check in checks))


def _line(check: Check, results: list[Result]) -> Line:
    verdicts = {r.verdict for r in results}
    verdict: Verdict = "broken" if "broken" in verdicts else "holds" if "holds" in verdicts else "not here"
    why = dict.fromkeys(_plain(r) for r in results if r.verdict == verdict and r.why is not None)
    return Line(room=check.room, name=check.name, sentence=check.sentence,
                says=" ".join((check.body.__doc__ or "").split()), verdict=verdict,
                cases=sum(r.verdict != "not here" for r in results), why=tuple(why)[:5])


def _plain(result: Result) -> str:
    where = "-".join(filter(None, (result.face, result.case))) if result.verdict == "broken" else ""
    said = re.sub(r"0x[0-9a-fA-F]{4,}", "0x…", printable(result.why or ""))
    return f"{where}: {said}" if where else said


def _versions() -> dict[str, str]:
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("paygate-core", "httpx", "attrs", "hypothesis"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


# How it is written

def as_json(report: Report) -> str:
    """The whole report."""
    return json.dumps(report.to_dict(), ensure_ascii=False, indent=1) + "\n"


def as_badge(report: Report) -> str:
    """A picture of the result, as SVG."""
    broken = report.count("broken")
    text, colour = (f"{report.count('holds')} hold", "#2f7d32") if broken == 0 else (f"{broken} broken", "#b3261e")
    left, right = 108, 14 + 7 * len(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="paygate contract: {text}"><rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="7" y="14">paygate contract</text><text x="{left + 7}" y="14">{text}</text></g></svg>\n')


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{text-align:left;padding:.3rem .6rem;vertical-align:top;
border-bottom:1px solid #ddd}.holds{color:#2f7d32}.broken{color:#b3261e;font-weight:bold}.not{color:#666}
small{color:#555}code{overflow-wrap:anywhere}
@media (prefers-color-scheme:dark){body{color:#eee;background:#161616}td,th{border-color:#444}small,.not{color:#aaa}
.holds{color:#7bd37f}.broken{color:#ff8a80}}
"""


def as_html(report: Report) -> str:
    """One page, without script, and with nothing to fetch."""
    told = report.to_dict()
    rooms = dict.fromkeys(line.room for line in report.lines)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(report.provider)}: paygate contract</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(report.provider)}</h1><p>{escape(report.title)}, {escape(report.origin)}</p>",
        f'<p><span class="holds">{report.count("holds")} hold</span>, '
        f'<span class="{"broken" if not report.holds else "not"}">{report.count("broken")} broken</span>, '
        f'<span class="not">{report.count("not here")} do not concern it</span></p>',
        f"<p><small>{escape(', '.join(f'{k} {v}' for k, v in report.versions.items()))}; seed {SEED}<br>"
        f"sha256 <code>{told['sha256']}</code></small></p>",
        "<h2>Capabilities</h2><table>",
        *(f"<tr><td>{escape(name)}</td><td>{'yes' if has else '–'}</td></tr>"
          for name, has in report.capabilities.items()),
        "</table><h2>Profile</h2><table><tr><th>entry<th>value<th>certainty<th>source</tr>",
        *(f"<tr><td>{escape(n)}<br><small>{escape(m)}</small></td><td>{escape(v)}</td><td>{escape(c)}</td>"
          f"<td>{escape(s)}</td></tr>" for n, m, v, c, s in report.profile),
        "</table>"]
    for room in rooms:
        parts.append(f"<h2>{escape(room)}</h2><table>")
        parts += [_row(line) for line in report.lines if line.room == room]
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>\n"])


def _row(line: Line) -> str:
    why = "".join(f"<br><small>{escape(text)}</small>" for text in line.why)
    kind = line.verdict.partition(" ")[0]
    return (f'<tr><td class="{kind}">{escape(line.verdict)}</td><td>{escape(line.sentence)}'
            f"<br><small>{escape(line.says)}</small>{why}</td><td>{line.cases or ''}</td></tr>")
