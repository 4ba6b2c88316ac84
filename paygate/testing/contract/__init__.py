"""The contract kit: does a provider tell the truth about the money that its PG moves?

`ProviderContract` makes tests of it; `paygate contract NAME` makes a report of it. Both run the same checks,
in-process, against the provider's emulator, without sockets and without waiting.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import Check, all_checks
    from .runner import Result, run_all
    from .subject import Subject, subject_of
    from .suite import ProviderContract

__all__ = ["Check", "ProviderContract", "Result", "Subject", "all_checks", "run_all", "subject_of"]
_WHERE = {"Check": "registry", "all_checks": "registry", "Result": "runner", "run_all": "runner", "Subject": "subject",
          "subject_of": "subject", "ProviderContract": "suite"}


def __getattr__(name: str) -> Any:
    # `suite` imports pytest, which the report does not need.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
