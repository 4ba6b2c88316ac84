"""A vault that hides nothing, for tests whose subject is not encryption."""

from __future__ import annotations

from paygate import Secret


class Drawer:
    """A vault for tests: it hides nothing, and refuses what was put in under another name."""

    def seal(self, text: Secret, about: str) -> str:
        return f"{about}|{text.reveal()[::-1]}"

    def open(self, sealed: str, about: str) -> Secret:
        name, _, text = sealed.partition("|")
        assert name == about
        return Secret(text[::-1])
