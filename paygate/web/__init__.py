"""The payer's browser and the PG's webhooks: a merchant's payment endpoints in any framework, and paygate.js.

`paygate.web.asgi`, `.django` and `.flask` are the adapters; each needs its framework and is imported on its own.
"""

from .ending import Outcome, Status, Visit
from .inbox import AsyncInbox, Inbox, Work
from .page import checkout_html, script_tag, started
from .receiver import Receiver

__all__ = ["AsyncInbox", "Inbox", "Outcome", "Receiver", "Status", "Visit", "Work", "checkout_html", "script_tag",
           "started"]
