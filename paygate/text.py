"""What text may travel: no control characters, no half characters, no more than stated."""

from __future__ import annotations

import re

from .errors import BadCommand

_UNCLEAN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_clean(text: str) -> bool:
    """True where `text` holds no control character, line separator or lone surrogate."""
    return _UNCLEAN.search(text) is None


def check_text(name: str, value: object, limit: int) -> None:
    """Refuse text that could not arrive as it is: empty, over `limit` characters, or not clean.

    Raises: BadCommand, without repeating the text.
    """
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise BadCommand(f"{name} must be 1 to {limit} characters; nothing was sent")
    if not is_clean(value):
        raise BadCommand(f"{name} holds a control character or half a character; nothing was sent")
