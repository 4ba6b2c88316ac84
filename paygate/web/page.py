"""paygate.js as it is served, and the few pages a receiver makes. No inline script, no inline style."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from ..model import Checkout
from .exchange import Answer, Headers


class Html(str):
    """Text that is HTML already: templates of Django and Jinja leave it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@cache
def script() -> bytes:
    """paygate.js."""
    return files("paygate.web").joinpath("js", "paygate.js").read_bytes()


@cache
def script_name() -> str:
    """Its name in an address: another one for every version of the file, so that a browser may keep it for ever."""
    return f"paygate.{hashlib.sha256(script()).hexdigest()[:12]}.js"


@cache
def integrity() -> str:
    """The fingerprint with which a browser refuses any other file."""
    return f"sha384-{base64.b64encode(hashlib.sha384(script()).digest()).decode()}"


_SCRIPT_HEADERS: Headers = (
    ("content-type", "text/javascript; charset=utf-8"), ("cache-control", "public, max-age=31536000, immutable"),
    ("x-content-type-options", "nosniff"))


def serve_script() -> Answer:
    """The file, to be kept."""
    return Answer(status=200, headers=_SCRIPT_HEADERS, body=script())


def script_tag(url: str) -> Html:
    """The element that loads paygate.js from below `url`: a path of the same site, or an address elsewhere."""
    elsewhere = "" if url.startswith("/") or not url else ' crossorigin="anonymous"'
    address = escape(f"{url}/{script_name()}")
    return Html(f'<script src="{address}" integrity="{integrity()}"{elsewhere} defer></script>')


def started(checkout: Checkout, complete: str, *, keep: Sequence[str] = (),
            fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What paygate.js needs to run a checkout.

    `complete` is the address that confirms it, `keep` the names that are brought back (all where there is none),
    `fields` what is posted to `complete` besides.
    """
    return {"action": checkout.action.to_dict(), "complete": complete, "keep": list(keep) or None,
            "fields": dict(fields or {})}


_TEXTS = {
    "en": ("Payment", "Open the payment window", "JavaScript is needed to pay.", "Continue"),
    "ko": ("결제", "결제창 열기", "결제하려면 자바스크립트가 필요합니다.", "계속"),
}


def checkout_html(run: Mapping[str, Any], *, label: str = "Pay", auto: bool = False) -> Html:
    """The part of a page that runs one checkout: `run` is what `started()` made; load paygate.js in the same page.

    `label` stands on its button. `auto`: it runs by itself, and the button is for another try.
    """
    return Html(f'<div data-paygate-checkout="{escape(json.dumps(run, ensure_ascii=False))}"'
                f'{" data-paygate-auto" if auto else ""}><button type="button">{escape(label)}</button>'
                '<p data-paygate-status role="status" aria-live="polite"></p></div>')


def checkout_page(run: Mapping[str, Any], url: str, language: str) -> str:
    """A page of its own for a checkout, where the form was posted without paygate.js."""
    title, label, needed, _ = _TEXTS[language]
    return _page(language, title, f"{checkout_html(run, label=label, auto=True)}<noscript><p>{needed}</p></noscript>",
                 url)


def return_page(go: str, url: str, language: str) -> str:
    """The end of a checkout in a window beside the merchant's page: paygate.js tells that page where to go on."""
    title, _, _, label = _TEXTS[language]
    return _page(language, title, f'<p><a data-paygate-go href="{escape(go)}">{label}</a></p>', url)


RETURN_HEADERS: Headers = (
    ("content-security-policy", "default-src 'none'; script-src 'self'; base-uri 'none'; frame-ancestors 'self'"),
    ("x-frame-options", "SAMEORIGIN"), ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "unsafe-none"))


def _page(language: str, title: str, inside: str, url: str) -> str:
    return (f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width">{script_tag(url)}</head>'
            f"<body>{inside}</body></html>")


def language_of(accepted: str) -> str:
    """"ko" for a browser that asks for Korean first, else "en"."""
    return "ko" if accepted.strip().lower().startswith("ko") else "en"
