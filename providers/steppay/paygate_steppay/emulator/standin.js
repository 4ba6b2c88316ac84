// A stand-in for the PG's browser script, with the call that its guide documents. It opens the sandbox's own window.

window.Steppay = {
  requestPay(params) {
    const heard = { success: null, error: null, cancel: null };
    let came = null;
    // What came before its callback was set is told when it is.
    const tell = () => {
      if (!came || !heard[came.event]) return;
      const { event, payload } = came;
      came = null;
      heard[event](payload);
    };
    const chain = {};
    for (const event of Object.keys(heard)) {
      chain[event] = (callback) => {
        heard[event] = callback;
        tell();
        return chain;
      };
    }
    popUp({ params }, {
      done(result) {
        came = result;
        tell();
      },
      unknown: { event: "cancel", payload: {} },
      blocked: { event: "error", payload: { errorCode: "POPUP_BLOCKED", errorMessage: "팝업이 차단되었습니다." } },
    });
    return chain;
  },
};
