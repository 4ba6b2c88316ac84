// A stand-in for the PG's browser script, with the calls that its guide documents. It opens the sandbox's own window.

let merchantCode = null;

function isNaver(params) {
  if (params.channelKey) return params.channelKey !== "CARD_CHANNEL_KEY";
  return !params.pg || String(params.pg).startsWith("naver");
}

function leavesPage(params) {
  if (isNaver(params)) return params.naverPopupMode !== true;
  return Boolean(params.m_redirect_url) && /Mobi|Android/i.test(navigator.userAgent);
}

function failed(params, code, message) {
  return { success: false, imp_success: false, imp_uid: null, merchant_uid: params.merchant_uid ?? null,
    error_code: code, error_msg: message };
}

window.IMP = {
  init(code) {
    merchantCode = code;
  },
  agency(code, tier) {
    merchantCode = code;
  },
  request_pay(params, callback) {
    const done = typeof callback === "function" ? callback : () => {};
    if (!merchantCode) {
      done(failed(params, "NOT_INITIALISED", "IMP.init 함수가 호출되지 않았습니다."));
      return;
    }
    const asked = { code: merchantCode, params };
    if (leavesPage(params)) {
      leaveFor(asked);
      return;
    }
    popUp(asked, {
      done,
      unknown: failed(params, "USER_CANCEL", "사용자가 결제를 취소하셨습니다."),
      blocked: failed(params, "POPUP_BLOCKED", "팝업이 차단되었습니다."),
    });
  },
};
