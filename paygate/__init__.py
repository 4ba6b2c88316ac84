"""Take money through any payment gateway (PG) with one piece of code.

Everything a merchant or a plugin author needs is here by name; it is imported when it is first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assemble import connect, connect_async
    from .async_gateway import AsyncGateway
    from .capability import (
        Absence,
        CancelGuard,
        Capability,
        Certainty,
        Fact,
        Profile,
        assumed,
        documented,
        observed,
    )
    from .clock import Clock, Deadline, SystemClock
    from .commands import (
        Cancel,
        CancelWhole,
        Charge,
        Customer,
        DatedCharge,
        DeleteKey,
        KeysOf,
        Pay,
        Register,
        Schedule,
        SchedulesOf,
        Unschedule,
        new_order_id,
    )
    from .config import from_environment
    from .errors import (
        BadCommand,
        BadSettings,
        Conflict,
        Declined,
        Forged,
        InProgress,
        NotFound,
        NotSent,
        OutcomeUnknown,
        PaygateError,
        RateLimited,
        Refused,
        SetupError,
        Unauthorized,
        UnknownProvider,
        Unsupported,
    )
    from .flow import Flow
    from .gateway import Gateway
    from .keyvault import KeyVault, new_vault_key
    from .ledger import Book, Kind, Ledger, LedgerError, Line, MemoryLedger, Note, Row, State
    from .model import (
        BillingKey,
        Cancellation,
        Cancelled,
        Checkout,
        ClientCall,
        DeclineReason,
        Event,
        EventKind,
        Hint,
        KeyInfo,
        Payment,
        PaymentStatus,
        Redirect,
        ScheduledCharge,
        ScheduleStatus,
        Subject,
    )
    from .money import Money
    from .plugins import hookimpl
    from .procedures.due import DueReport
    from .procedures.reconcile import Report
    from .procedures.trace import Trace
    from .provider import Provider, ProviderSpec
    from .secret import Secret
    from .subscriptions import (
        ChangeInterval,
        ChangeMethod,
        ChangeMoney,
        Interval,
        MoveNext,
        Renew,
        Subscribe,
        SubscribeKey,
        Subscription,
        SubscriptionStatus,
        Unit,
        Unsubscribe,
    )
    from .terms import Retries, Terms
    from .vault import Vault, VaultError
    from .wire import Path, Request, Response, Token, path

_HOME = {
    "assemble": "connect connect_async",
    "async_gateway": "AsyncGateway",
    "capability": "Absence CancelGuard Capability Certainty Fact Profile assumed documented observed",
    "clock": "Clock Deadline SystemClock",
    "commands": "Cancel CancelWhole Charge Customer DatedCharge DeleteKey KeysOf Pay Register Schedule SchedulesOf "
                "Unschedule new_order_id",
    "config": "from_environment",
    "errors": "BadCommand BadSettings Conflict Declined Forged InProgress NotFound NotSent OutcomeUnknown PaygateError "
              "RateLimited Refused SetupError Unauthorized UnknownProvider Unsupported",
    "flow": "Flow",
    "gateway": "Gateway",
    "keyvault": "KeyVault new_vault_key",
    "ledger": "Book Kind Ledger LedgerError Line MemoryLedger Note Row State",
    "model": "BillingKey Cancellation Cancelled Checkout ClientCall DeclineReason Event EventKind Hint KeyInfo Payment "
             "PaymentStatus Redirect ScheduledCharge ScheduleStatus Subject",
    "money": "Money",
    "plugins": "hookimpl",
    "procedures.due": "DueReport",
    "procedures.reconcile": "Report",
    "procedures.trace": "Trace",
    "provider": "Provider ProviderSpec",
    "secret": "Secret",
    "subscriptions": "ChangeInterval ChangeMethod ChangeMoney Interval MoveNext Renew Subscribe SubscribeKey "
                     "Subscription SubscriptionStatus Unit Unsubscribe",
    "terms": "Retries Terms",
    "vault": "Vault VaultError",
    "wire": "Path Request Response Token path",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

# Written out, because type checkers read it: a test compares it with the table above and with the imports.
__all__ = [
    "Absence", "AsyncGateway", "BadCommand", "BadSettings", "BillingKey", "Book", "Cancel", "CancelGuard",
    "CancelWhole", "Cancellation", "Cancelled", "Capability", "Certainty", "ChangeInterval", "ChangeMethod",
    "ChangeMoney", "Charge", "Checkout", "ClientCall", "Clock", "Conflict", "Customer", "DatedCharge", "Deadline",
    "DeclineReason", "Declined", "DeleteKey", "DueReport", "Event", "EventKind", "Fact", "Flow", "Forged", "Gateway",
    "Hint", "InProgress", "Interval", "KeyInfo", "KeyVault", "KeysOf", "Kind", "Ledger", "LedgerError", "Line",
    "MemoryLedger", "Money", "MoveNext", "NotFound", "NotSent", "Note", "OutcomeUnknown", "Path", "Pay",
    "PaygateError", "Payment", "PaymentStatus", "Profile", "Provider", "ProviderSpec", "RateLimited", "Redirect",
    "Refused", "Register", "Renew", "Report", "Request", "Response", "Retries", "Row", "Schedule", "ScheduleStatus",
    "ScheduledCharge", "SchedulesOf", "Secret", "SetupError", "State", "Subject", "Subscribe", "SubscribeKey",
    "Subscription", "SubscriptionStatus", "SystemClock", "Terms", "Token", "Trace", "Unauthorized", "Unit",
    "UnknownProvider", "Unschedule", "Unsubscribe", "Unsupported", "Vault", "VaultError", "assumed", "connect",
    "connect_async", "documented", "from_environment", "hookimpl", "new_order_id", "new_vault_key", "observed", "path",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'paygate' has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_MODULE)
