"""The PG's texts and constants, its envelope, and how it says no. No state lives here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from paygate.model import DeclineReason
from paygate.wire import Response

IMP_KEY: Final = "test_key_0000000000000001"
IMP_SECRET: Final = "test_secret_00000000000000000000000000000001"
MERCHANT_CODE: Final = "imp00000001"
NAVER_CHANNEL_KEY: Final = "channel-key-00000000-0000-4000-8000-000000000001"
CARD_CHANNEL_KEY: Final = "channel-key-00000000-0000-4000-8000-000000000002"

UNAUTHORIZED: Final = "Unauthorized"  # observed
NO_CREDENTIALS: Final = "imp_key, imp_secret 파라메터가 누락되었습니다."  # observed
WRONG_CREDENTIALS: Final = "인증에 실패하였습니다. API키와 secret을 확인하세요."  # observed shape; text ours
NO_PAYMENT: Final = "존재하지 않는 결제정보입니다."  # observed
BAD_STATUS: Final = "지원되지 않는 상태값입니다."  # observed
ALREADY_CANCELLED: Final = "이미 전액취소된 주문입니다."  # observed
NOTHING_TO_CANCEL: Final = "취소할 결제건이 존재하지 않습니다."  # observed
NAME_A_PAYMENT: Final = "imp_uid 또는 merchant_uid를 지정해주셔야합니다."  # observed ending
CHECKSUM_DIFFERS: Final = "checksum: 취소 가능 잔액이 일치하지 않습니다."  # ours
OVER_BALANCE: Final = "취소 요청금액이 취소 가능 잔액을 초과합니다."  # ours
REGISTRATION_ONLY: Final = "빌링키 등록 건은 취소할 수 없습니다."  # ours
REFUND_WINDOW_OVER: Final = "취소 가능 기간이 지났습니다."  # ours; the 1,095 days are documented
PREPARED_TWICE: Final = "결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다)."  # observed
NOT_PREPARED: Final = "사전등록된 결제정보가 존재하지 않습니다."  # observed
UNKNOWN_BUYER: Final = "등록되지 않은 구매자입니다."  # observed
NO_BUYER_TO_SCHEDULE: Final = "등록된 고객정보가 없습니다."  # observed
USED: Final = "이미 주문이 이루어진 건입니다. (동일한 merchant_uid로 결제 또는 취소된 기록이 있습니다)"  # observed
BAD_CARD: Final = "유효하지않은 카드번호를 입력하셨습니다."  # observed
BAD_EXPIRY: Final = "유효하지않은 카드 유효기간을 입력하셨습니다."  # ours
SCHEDULED_TWICE: Final = "이미 등록된 merchant_uid입니다."  # ours, close to the observed prepare text
NOTHING_TO_UNSCHEDULE: Final = "취소할 예약결제 기록이 존재하지 않습니다."  # observed
NO_SCHEDULE: Final = "존재하지 않는 예약결제입니다."  # ours
NOT_BY_API: Final = "네이버페이는 카드정보를 이용한 API 요청을 지원하지 않습니다."  # ours; refusal documented
NO_CHANNEL: Final = "존재하지 않는 채널입니다."  # ours
LIMIT_EXCEEDED: Final = "결제수단 한도 초과"  # as a decline might read
BELOW_MINIMUM: Final = "결제금액이 최소 결제금액보다 작습니다."  # ours
PAYER_CLOSED: Final = "사용자가 결제를 취소하셨습니다."  # ours
WRONG_CODE: Final = "고객사 식별코드가 올바르지 않습니다."  # ours
DECLINE_REASONS: Final = {  # As declines might read, and what each of them means.
    LIMIT_EXCEEDED: DeclineReason.LIMIT_EXCEEDED, "계좌 잔액이 부족합니다.": DeclineReason.INSUFFICIENT_FUNDS,
    "카드 유효기간이 지났습니다.": DeclineReason.EXPIRED, "분실 신고된 카드입니다.": DeclineReason.BLOCKED,
    "시스템 점검 중입니다.": DeclineReason.PG_UNAVAILABLE, "카드사에 문의하여 주시기 바랍니다.": DeclineReason.UNMAPPED}
DECLINE_TEXTS: Final = tuple(DECLINE_REASONS)
NO_CERTIFICATION: Final = "존재하지 않는 인증정보입니다."  # ours
INTERNAL: Final = "Internal error"


class Refusal(Exception):
    """The PG says no. `status` is the HTTP status wished for; a route that does not name it answers 200 instead."""

    def __init__(self, message: str, code: int = 1, status: int = 200) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


def bad(message: str) -> Refusal:
    """A parameter is missing or not what it must be."""
    return Refusal(f"파라미터 오류: {message}", code=1, status=400)


def missing(name: str) -> Refusal:
    return Refusal(f"파라미터 누락: {name}", code=1, status=400)


def not_found(message: str) -> Refusal:
    return Refusal(message, code=-1, status=404)


@frozen
class Some:
    """A list of which part was asked for in vain (HTTP 207), or not."""

    found: list[Any]
    partial: bool


def envelope(status: int, code: int, message: str | None, response: Any, *, nulls: bool = True,
             headers: Mapping[str, str] | None = None) -> Response:
    """Every answer, errors included, is code, message and response."""
    value: Any = {"code": code, "message": message, "response": response}
    text = json.dumps(value if nulls else _without_nulls(value), ensure_ascii=False, allow_nan=False)
    # A half character can come in through a raw target; the answer must still be UTF-8.
    return Response(status, {"content-type": "application/json; charset=utf-8", **(headers or {})},
                    text.encode("utf-8", "replace"))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value
