"""`python -m django work`: what a cron job of the shop does every minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Charge what is due, ask what is in doubt, tell what was not told."""

    def handle(self, *args: Any, **options: Any) -> None:
        from shop.payments import work

        work()
