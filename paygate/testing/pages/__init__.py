"""Pages for a payer's browser, which an emulator serves beside its PG's API: HTML that works without any script.

Every path begins with `PREFIX`, which no PG uses. Whatever a page shows goes through `shown`. A script is needed by
the windows that a PG's own browser script opens, and by nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from ...wire import Response

PREFIX = "/__page__/"
ASSETS = f"{PREFIX}assets/"
STANDIN = f"{PREFIX}standin.js"
"""Where an emulator serves its stand-in for the PG's browser script."""

DELAY_S = 600
_SEOUL = timezone(timedelta(hours=9))
_DELAY_LIMIT_S = 366 * 86_400
_TYPES = {"payer.css": "text/css; charset=utf-8", "payer.js": "text/javascript; charset=utf-8"}
# Forms may lead to the shop's own address, http or https: browsers apply form-action to where an answer redirects.
_POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
           "form-action 'self' http: https:; base-uri 'none'")
_SAFE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
_HEADERS = {"content-type": "text/html; charset=utf-8", "content-security-policy": _POLICY, **_SAFE}


def shown(text: str) -> str:
    """`text` as a page may show it: escaped, and what would not print (controls, text direction) made visible."""
    return escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


def korean(text: str) -> str:
    """A Korean term beside the English one."""
    return f'<span lang="ko">{shown(text)}</span>'


def page(title: str, body: str, *, status: int = 200, script: Mapping[str, Any] | None = None) -> Response:
    """A whole page. `body` is HTML already; `script` is what payer.js is to do there (see that file)."""
    told = "" if script is None else f' data-todo="{escape(json.dumps(script))}"'
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{shown(title)}</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{ASSETS}payer.css"><script src="{ASSETS}payer.js" defer></script></head>\n'
        f'<body><p class="banner"><strong>Sandbox: no real money</strong> {korean("실제 결제가 아닙니다")}</p>\n'
        f"<main{told}><h1>{shown(title)}</h1>\n{body}</main></body></html>\n")
    return Response(status, _HEADERS, text.encode("utf-8", "replace"))


def bill(rows: Iterable[tuple[str, str]]) -> str:
    """What the payer is asked for, as (name, text)."""
    return f"<dl>{''.join(f'<div><dt>{shown(n)}</dt><dd>{shown(t)}</dd></div>' for n, t in rows)}</dl>\n"


def decisions(where: str, reasons: Iterable[str], *, approve: str = "") -> str:
    """What a payer can do: one form each, posted under `where`: approve, decline (`message`), close, late (`after_s`).

    `approve` is HTML of further fields of an approval.
    """
    options = "".join(f"<option>{shown(reason)}</option>" for reason in reasons)
    return f"""<form method="post" action="{shown(where)}/approve">{approve}
<button class="yes">Approve {korean("승인")}</button></form>
<form method="post" action="{shown(where)}/decline">
<label>Reason of the decline {korean("거절 사유")} <select name="message">{options}</select></label>
<button>Decline {korean("거절")}</button></form>
<form method="post" action="{shown(where)}/close">
<button>Close without paying {korean("닫기")}</button></form>
<form method="post" action="{shown(where)}/late">
<label>Seconds until the approval arrives <input name="after_s" type="number" min="0" max="{_DELAY_LIMIT_S}" step="1"
 value="{DELAY_S}" required></label>
<button>Pay late, browser gone {korean("늦은 승인")}</button></form>
"""


def say(status: int, value: Mapping[str, Any]) -> Response:
    """An answer to a page's script."""
    return Response(status, {"content-type": "application/json", **_SAFE}, json.dumps(value).encode())


def opener(value: object) -> dict[str, str] | None:
    """Whom the page of a pop-up tells: a web origin, and its own word for the window; None where `value` names none."""
    if not isinstance(value, dict):
        return None
    origin, nonce = value.get("origin"), value.get("nonce")
    if isinstance(origin, str) and isinstance(nonce, str) and len(origin + nonce) <= 500 and is_web(origin):
        return {"origin": origin, "nonce": nonce}
    return None


def korean_time(when: datetime) -> str:
    """An instant as a payer in Korea reads it."""
    return f"{when.astimezone(_SEOUL):%Y-%m-%d %H:%M:%S} (Korean time 한국 시각)"


def way_back(url: str | None) -> str:
    """A link to where the payer's browser would go; text where there is no address, or it is none of the web."""
    if url is None:
        return "<p>The merchant gave no address to return to. You can close this page.</p>\n"
    if not is_web(url):
        return f"<p>The browser would be sent to <code>{shown(url)}</code>.</p>\n"
    return f'<p><a href="{escape(_plain(url))}" rel="noreferrer">Back to the shop {korean("상점으로")}</a></p>\n'


def see_other(url: str) -> Response:
    """Send the browser on."""
    return Response(303, {"location": _plain(url), **_SAFE}, b"")


def is_web(url: str) -> bool:
    """True for an http or https address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and url.isprintable()


def _plain(url: str) -> str:
    """An address in the characters that a header may hold."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]", errors="replace")


def form(body: bytes) -> dict[str, str]:
    """The fields of a posted form, each name's first value; empty for a body that is none."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def delay(fields: Mapping[str, str]) -> int:
    """`after_s` of the form "late"; the usual delay where it is no whole number of seconds within a year."""
    text = fields.get("after_s", "")
    return min(int(text), _DELAY_LIMIT_S) if text.isascii() and text.isdigit() and len(text) < 10 else DELAY_S


def asset(path: str) -> Response | None:
    """The style sheet or script at that path; None where there is none."""
    name = path.removeprefix(ASSETS)
    if not path.startswith(ASSETS) or name not in _TYPES:
        return None
    return Response(200, {"content-type": _TYPES[name], **_SAFE}, _read(name))


def standin(own: str) -> Response:
    """A stand-in for a PG's browser script: `own`, after the functions that every stand-in uses (standin.js).

    A merchant's page, which is another origin, may load it.
    """
    text = f'(() => {{\n"use strict";\n{_read("standin.js").decode()}\n{own}\n}})();\n'
    headers = {"content-type": _TYPES["payer.js"], "cross-origin-resource-policy": "cross-origin", **_SAFE}
    return Response(200, headers, text.encode())


def _read(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
