"""The kinds of fault in words, for a person who dials one."""

from __future__ import annotations

from collections.abc import Mapping

from ..testing.emulator import FaultKind

ABOUT: Mapping[FaultKind, str] = {
    FaultKind.REFUSE: "nothing is done; the connection is refused (on a socket: reset)",
    FaultKind.DROP_BEFORE: "nothing is done; the connection ends without an answer",
    FaultKind.DROP_AFTER: "everything is done; the connection ends without an answer",
    FaultKind.RESET_BEFORE: "nothing is done; the connection is reset",
    FaultKind.RESET_AFTER: "everything is done; the connection is reset",
    FaultKind.HANG_BEFORE: "nothing is done; no answer for two minutes",
    FaultKind.HANG_AFTER: "everything is done; no answer for two minutes",
    FaultKind.LATE: "no answer for two minutes; it is done 70 seconds later",
    FaultKind.ERROR_500_BEFORE: "nothing is done; 500",
    FaultKind.ERROR_500_AFTER: "everything is done; 500",
    FaultKind.BAD_GATEWAY_BEFORE: "nothing is done; 502 with a web page",
    FaultKind.BAD_GATEWAY_AFTER: "everything is done; 502 with a web page",
    FaultKind.HTML_BEFORE: "nothing is done; 200 with a web page",
    FaultKind.HTML_AFTER: "everything is done; 200 with a web page",
    FaultKind.TRUNCATE_AFTER: "everything is done; half of the answer",
    FaultKind.BAD_UTF8_AFTER: "everything is done; an answer that is not UTF-8",
    FaultKind.DEEP_JSON_AFTER: "everything is done; JSON nested 100,000 deep",
    FaultKind.DUPLICATE_KEYS_AFTER: "everything is done; JSON that names a key twice",
    FaultKind.NOT_A_NUMBER_AFTER: "everything is done; JSON with NaN",
    FaultKind.HUGE_AFTER: "everything is done; an answer of 2 MiB",
    FaultKind.EMPTY_AFTER: "everything is done; an empty answer",
    FaultKind.REDIRECT_BEFORE: "nothing is done; a redirect elsewhere",
    FaultKind.UNAUTHORIZED: "nothing is done; the token is not accepted",
    FaultKind.TOO_MANY: "nothing is done; 429, try again in a second",
    FaultKind.LIE_FAILED: "everything is done; the answer says that it failed",
    FaultKind.WRONG_ORDER: "everything is done; the answer is about another order",
    FaultKind.WRONG_AMOUNT: "everything is done; the answer names another amount",
}
