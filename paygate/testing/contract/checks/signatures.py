"""Signed webhooks: a signature is checked whole, over the very bytes, with the merchant's key, and not for ever."""

from __future__ import annotations

import sys
from typing import Any

import attrs

from ....capability import Capability
from ....errors import Forged
from ....secret import Secret
from ...emulator import Hook
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import NotHere, expect
from .hooks import PLAIN, headers_of, read, true_hooks

C = Capability


def signs(subject: Subject) -> str | None:
    """Why signatures do not concern `subject`; None where they do."""
    unsigned = subject.spec.profile.hook_signature.value.strip().lower().startswith("none")
    return "the profile says that webhooks are not signed" if unsigned else None


def signed(bench: Bench) -> list[Hook]:
    """True webhooks that carry something to check."""
    bench.pg.sign_hooks()
    found = [h for h in true_hooks(bench) if set(headers_of(h)) - PLAIN]
    if not found:
        raise NotHere("the emulator signs no webhook")
    return found


@check(C.RECEIVE, when=signs, faces=SYNC)
def a_signature_is_checked_and_said_to_be(bench: Bench) -> None:
    """A true one is believed; without it, the same webhook is a hint at most."""
    for hook in signed(bench):
        hint = read(bench, headers_of(hook), hook.body)
        expect(hint is not None and hint.is_signed, "a true webhook with its signature is not told as signed")
        plain = {n: v for n, v in headers_of(hook).items() if n in PLAIN}
        bare = read(bench, plain, hook.body)
        expect(bare is None or not bare.is_signed, "without its signature, a webhook is told as signed")


@check(C.RECEIVE, when=signs, faces=SYNC)
def a_webhook_whose_body_or_signature_was_touched_is_forged(bench: Bench) -> None:
    """By one space, one letter, one character too many or too few."""
    for hook in signed(bench):
        headers, body = headers_of(hook), hook.body
        middle = len(body) // 2
        for changed in (body + b" ", b" " + body, body + b"\n", body.replace(b"1", b"2", 1), body.upper(),
                        body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]):
            expect(changed == body or read(bench, headers, changed) is None, "a webhook with another body is believed")
        for name in set(headers) - PLAIN:
            value = headers[name]
            spots = {len(value) * n // 9 for n in range(9)} | {len(value) - 1}
            for other in {f"{value}x", f"x{value}", value[:-1], value[1:], "", value[::-1], f"{value},{value}",
                          *(value[:n] + ("A" if value[n] != "A" else "B") + value[n + 1:] for n in spots)}:
                hint = read(bench, {**headers, name: other}, body)
                expect(other == value or hint is None or not hint.is_signed,
                       f"a webhook with another {name} is believed as signed")


@check(C.RECEIVE, when=signs, faces=SYNC)
def a_signature_of_long_ago_is_a_replay(bench: Bench) -> None:
    """Yesterday's webhook, sent again today; and one from tomorrow."""
    for hook in signed(bench):
        for days in (1, 30, 3_650, -1):
            hint = read(bench, headers_of(hook), hook.body, after_s=days * 86_400.0)
            expect(hint is None or not hint.is_signed, f"signed {days} days ago, and told as signed now")


@check(C.RECEIVE, when=signs, faces=SYNC)
def a_signature_by_another_key_is_forged(bench: Bench) -> None:
    """The merchant's key decides, and no constant does."""
    hooks = signed(bench)
    kind = bench.subject.spec.settings
    settings: Any = attrs.evolve(_settings_of(bench))
    changed = {f.name: _other(getattr(settings, f.name)) for f in attrs.fields(kind)}
    other = bench.subject.spec.build(attrs.evolve(settings, **{k: v for k, v in changed.items() if v is not None}))
    for hook in hooks:
        try:
            hint = other.read_webhook(headers_of(hook), hook.body, bench.clock.now())
        except Forged:
            continue
        expect(not hint.is_signed, "with every key of the merchant's changed, the same signature still fits")


def _settings_of(bench: Bench) -> Any:
    from ....codec import settings_from

    spec = bench.subject.spec
    return settings_from(spec.settings, bench.subject.settings(bench.pg), spec.name)


def _other(value: Any) -> Any:
    if isinstance(value, Secret):
        text = value.reveal()
        return Secret(text[:-1] + ("x" if text[-1] != "x" else "y"))
    if isinstance(value, tuple) and value and all(isinstance(v, Secret) for v in value):
        return tuple(map(_other, value))
    return None


@check(C.RECEIVE, when=signs, faces=SYNC)
def signatures_are_compared_in_constant_time(bench: Bench) -> None:
    """With hmac.compare_digest, or by comparing Secrets: `==` tells, byte by byte, how far a guess was right."""
    hook = signed(bench)[0]
    called: set[str] = set()

    def watch(frame: Any, event: str, arg: Any) -> None:
        if event == "c_call":
            called.add(getattr(arg, "__name__", ""))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        read(bench, headers_of(hook), hook.body)
    finally:
        sys.setprofile(before)
    expect(called & {"compare_digest", "_compare_digest"}, "the signature was compared without compare_digest")
