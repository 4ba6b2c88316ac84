"""A few of the standard codes of card companies and banks, for clients that list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .bodies import Asked
from .shop import Shop
from .words import not_found

# Codes of the Korea Financial Telecommunications and Clearings Institute.
_CARDS = {"361": "BC카드", "365": "삼성카드", "366": "신한카드", "367": "현대카드", "381": "KB국민카드"}
_BANKS = {"004": "KB국민은행", "011": "NH농협은행", "020": "우리은행", "088": "신한은행", "090": "카카오뱅크"}


def cards(shop: Shop, asked: Asked) -> Any:
    """GET /cards, GET /cards/{code}."""
    return _shown(_CARDS, asked)


def banks(shop: Shop, asked: Asked) -> Any:
    """GET /banks, GET /banks/{code}."""
    return _shown(_BANKS, asked)


def _shown(names: Mapping[str, str], asked: Asked) -> Any:
    if not asked.ids:
        return [{"code": code, "name": name} for code, name in names.items()]
    if asked.ids[0] not in names:
        raise not_found("존재하지 않는 코드입니다.")
    return {"code": asked.ids[0], "name": names[asked.ids[0]]}
