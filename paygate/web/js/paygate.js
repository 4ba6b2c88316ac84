/**
 * Does what a checkout's action says and brings the payer back, the same way for every payment gateway.
 *
 * Nothing here decides whether anything was paid: the server looks it up. Types are in types.d.ts.
 */
(() => {
  "use strict";
  if (window.paygate) return;

  /** @typedef {import("./types").Checkout} Checkout */
  /** @typedef {import("./types").State} State */

  /** @type {Record<string, Record<State | "close", string>>} */
  const TEXTS = {
    en: {
      starting: "Opening the payment window…",
      waiting: "Finish in the payment window, and do not pay a second time.",
      returning: "Checking the payment…",
      again: "If you closed the payment window, you can open it again.",
      blocked: "The browser blocked the payment window, so it opens in this page.",
      back: "You came back before the payment was finished. You can go on.",
      failed: "The payment could not be started, and nothing was charged. Please try again.",
      script: "The payment window could not be loaded, and nothing was charged. Please try again.",
      close: "Close",
    },
    ko: {
      starting: "결제창을 여는 중입니다…",
      waiting: "결제창에서 결제를 마쳐 주세요. 다시 결제하지 마세요.",
      returning: "결제 결과를 확인하는 중입니다…",
      again: "결제창을 닫으셨다면 다시 열 수 있습니다.",
      blocked: "브라우저가 결제창을 차단하여 이 페이지에서 엽니다.",
      back: "결제를 마치지 않고 돌아오셨습니다. 계속 진행할 수 있습니다.",
      failed: "결제를 시작하지 못했습니다. 청구된 금액은 없습니다. 다시 시도해 주세요.",
      script: "결제창을 불러오지 못했습니다. 청구된 금액은 없습니다. 다시 시도해 주세요.",
      close: "닫기",
    },
  };
  const LOAD_MS = 20000, LOOK_MS = 400, LEAVE_MS = 15000, LONGEST = 1000;

  const nonce = /** @type {HTMLScriptElement | null} */ (document.currentScript)?.nonce;
  /** @type {Set<HTMLElement>} */
  const busy = new Set();
  /** @type {Map<string, Promise<unknown>>} */
  const loads = new Map();
  /** @type {import("./types").ScriptPolicy | undefined} */
  let policy;
  try {
    policy = window.trustedTypes?.createPolicy("paygate", { createScriptURL: url => url });
  } catch { /* The page forbids it. */ }

  /** @param {HTMLElement} root @param {State | "close"} state */
  function text(root, state) {
    const language = root.closest("[lang]")?.getAttribute("lang")?.slice(0, 2).toLowerCase() || "en";
    return root.getAttribute("data-paygate-text-" + state) ?? (TEXTS[language] || TEXTS.en)[state];
  }

  /** Where progress is announced. It stands in the page before its text does, or nobody hears it.
   * @param {HTMLElement} root */
  function region(root) {
    let box = root.querySelector("[data-paygate-status]");
    if (!box) {
      box = document.createElement("p");
      box.setAttribute("data-paygate-status", "");
      root.append(box);
    }
    box.setAttribute("role", "status");
    box.setAttribute("aria-live", "polite");
    return box;
  }

  /** @param {HTMLElement} root @param {State} state */
  function say(root, state) {
    region(root).textContent = text(root, state);
    root.setAttribute("data-paygate-state", state);
    root.dispatchEvent(new CustomEvent("paygate", { bubbles: true, detail: { state } }));
  }

  /** False where it is held already: a double click. Buttons stay enabled, so that focus stays where it is.
   * @param {HTMLElement} root */
  function hold(root) {
    if (busy.has(root)) return false;
    busy.add(root);
    for (const button of root.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
    say(root, "starting");
    return true;
  }

  /** @param {HTMLElement} root @param {State} state */
  function release(root, state) {
    busy.delete(root);
    for (const button of root.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    say(root, state);
  }

  /** An address that may be gone to: never javascript: or data:.
   * @param {string} url */
  function safe(url) {
    const to = new URL(url, document.baseURI);
    if (!/^https?:$/.test(to.protocol)) throw new TypeError(to.protocol);
    return to.href;
  }

  /** The function that a dotted name says, bound to its owner.
   * @param {string} path @param {any} [found] @returns {Function | undefined} */
  function find(path, found = window) {
    let owner;
    for (const name of path.split(".")) [owner, found] = [found, found?.[name]];
    return found?.bind?.(owner);
  }

  /** @param {string} url */
  function load(url) {
    const known = loads.get(url);
    if (known) return known;
    const loading = new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = policy ? policy.createScriptURL(safe(url)) : safe(url);
      if (nonce) script.nonce = nonce;
      script.onload = done;
      script.onerror = fail;
      setTimeout(fail, LOAD_MS);
      document.head.append(script);
    });
    loads.set(url, loading);
    loading.catch(() => loads.delete(url));  // so that the next click tries again
    return loading;
  }

  /** Tell the server, by a cookie for this return address, whether a window beside this page will come to it.
   * @param {Checkout} checkout @param {boolean} beside */
  function mark(checkout, beside) {
    const to = new URL(checkout.complete, document.baseURI);
    document.cookie = `paygate-window=1; path=${to.pathname}; samesite=lax` + (beside ? "" : "; max-age=0") +
      (to.protocol === "https:" ? "; secure" : "");
  }

  /** Post what the PG's script told to the server; not in an address: those are logged, and it may hold a key.
   * @param {Checkout} checkout @param {HTMLElement} root @param {Record<string, unknown>} told */
  function back(checkout, root, told) {
    say(root, "returning");
    mark(checkout, false);
    const form = document.createElement("form");
    /** @param {string} name @param {unknown} value */
    const put = (name, value) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name, value });
      form.append(input);
    };
    form.setAttribute("method", "post");
    form.setAttribute("action", safe(checkout.complete));
    for (const [name, value] of Object.entries(told)) {
      const plain = ["string", "number", "boolean"].includes(typeof value);
      if (plain && (!checkout.keep || checkout.keep.includes(name))) put(name, String(value).slice(0, LONGEST));
    }
    for (const [name, value] of Object.entries(checkout.fields || {})) put(name, value);
    document.body.append(form);
    HTMLFormElement.prototype.submit.call(form);  // a field may be called "submit"
    form.remove();
  }

  /** Wait until the window beside this page says where to go on (see the end of this file), or is closed.
   * @param {Checkout} checkout @param {HTMLElement} root @param {() => Window | null} beside @param {() => void} remove */
  function attend(checkout, root, beside, remove) {
    const end = () => {
      clearInterval(timer);
      removeEventListener("message", hear);
      remove();
    };
    /** @param {MessageEvent} event */
    const hear = ({ data, origin, source }) => {
      if (origin !== location.origin || source !== beside() || typeof data?.paygate !== "string") return;
      end();
      mark(checkout, false);
      say(root, "returning");
      location.assign(safe(data.paygate));
    };
    // The server asks the PG: that a window was closed says nothing about the money.
    const closed = () => (end(), back(checkout, root, {}));
    addEventListener("message", hear);
    const timer = setInterval(() => beside()?.closed && closed(), LOOK_MS);
    return closed;
  }

  /** @param {Checkout} checkout @param {HTMLElement} root @param {string} url */
  function frame(checkout, root, url) {
    const dialog = document.createElement("dialog"), inside = document.createElement("iframe");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text(root, "close");
    inside.title = document.title;
    inside.src = url;
    Object.assign(inside.style, { display: "block", width: "min(30rem, 90vw)", height: "80vh", border: "0" });
    dialog.append(button, inside);
    document.body.append(dialog);
    const closed = attend(checkout, root, () => inside.contentWindow, () => dialog.remove());
    button.addEventListener("click", closed);
    dialog.addEventListener("cancel", closed);  // the Escape key
    dialog.showModal();
  }

  /** @param {Checkout} checkout @param {HTMLElement} root @param {string} url @param {Window | null} popup */
  function redirect(checkout, root, url, popup) {
    const framed = root.getAttribute("data-paygate-window") === "iframe";
    mark(checkout, framed || !!popup);
    if (!framed && !popup) {
      location.assign(url);
      setTimeout(() => busy.has(root) && release(root, "again"), LEAVE_MS);  // the payer pressed "stop"
      return;
    }
    say(root, "waiting");
    if (!popup) return frame(checkout, root, url);
    popup.location.replace(url);
    attend(checkout, root, () => popup, () => popup.close());
  }

  /** @param {Checkout} checkout @param {HTMLElement} root @param {import("./types").ClientCall} action */
  async function call(checkout, root, action) {
    let over = false;
    const windows = /** @type {(Window | null)[]} */ ([]), before = open;
    window.open = (...given) => {
      const made = before(...given);
      windows.push(made);
      return made;
    };
    /** @param {Record<string, unknown>} told */
    const finish = told => {
      if (over) return;
      over = true;
      back(checkout, root, told);
    };
    try {
      const { through = [] } = action;
      if (!find((through[0] || action).function)) await load(action.script);
      let owner;
      for (const step of through) owner = find(step.function, owner)?.(step.argument);
      const named = find(action.function, owner);
      if (!named) throw new TypeError(action.function);
      if (action.setup) find(action.setup.function)?.(action.setup.argument);
      say(root, "waiting");
      const chain = named(action.params, ...(action.returns === "callback" ? [finish] : []));
      if (action.returns === "redirect") chain?.catch(() => finish({}));  // The payer closed it, or it never opened.
      if (action.returns === "chain") {
        for (const event of ["success", "error", "cancel"]) {
          chain[event]((/** @type {object} */ told) => finish({ ...told, event }));
        }
      }
    } catch {
      if (!over) release(root, "script");
      return;
    }
    // Some scripts say nothing when their window is closed: the button works again once the payer is back and it is.
    const again = () => over || (windows.some(w => w?.closed === false) ? setTimeout(again, LOOK_MS) : release(root, "again"));
    setTimeout(() => addEventListener("focus", again, { once: true }), 1000);
  }

  /** A browser allows a window only while it handles the click: before anything is known.
   * @param {HTMLElement} root */
  function opened(root) {
    if (root.getAttribute("data-paygate-window") !== "popup") return null;
    const popup = open("", "", "popup,width=480,height=720");
    if (!popup) say(root, "blocked");
    return popup;
  }

  /** @param {Checkout} checkout @param {HTMLElement} root @param {Window | null} popup */
  async function act(checkout, root, popup) {
    const { action } = checkout;
    try {
      if (action.type === "redirect") return redirect(checkout, root, safe(action.url), popup);
    } catch {
      popup?.close();
      return release(root, "failed");
    }
    popup?.close();
    return call(checkout, root, action);
  }

  /** @type {import("./types").Paygate["start"]} */
  async function start(form, submitter) {
    if (!hold(form)) return;
    const popup = opened(form), data = new FormData(form);
    const button = /** @type {HTMLButtonElement | null | undefined} */ (submitter);
    if (button?.name) data.append(button.name, button.value);
    try {
      const answer = await fetch(form.getAttribute("action") || "", {
        method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams(/** @type {any} */ (data)),
      });
      if (!answer.ok) throw new TypeError(String(answer.status));
      /** @type {import("./types").Started} */
      const started = await answer.json();
      if (started.go === undefined) return await act(started, form, popup);
      popup?.close();
      location.assign(safe(started.go));
    } catch {
      popup?.close();
      release(form, "failed");
    }
  }

  /** @type {import("./types").Paygate["run"]} */
  async function run(checkout, root = document.body) {
    if (hold(root)) await act(checkout, root, opened(root));
  }

  document.addEventListener("submit", event => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (event.defaultPrevented || !form.hasAttribute("data-paygate")) return;
    event.preventDefault();
    start(form, event.submitter);
  });

  // The back button may bring a busy page back.
  addEventListener("pageshow", event => {
    if (event.persisted) for (const root of [...busy]) release(root, "back");
  });

  function ready() {
    /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("form[data-paygate]")).forEach(region);
    // Coming back to the page of a checkout is not asking for its window again.
    const root = /** @type {HTMLElement | null} */ (document.querySelector("[data-paygate-checkout]"));
    if (root) {
      const again = () => run(JSON.parse(root.getAttribute("data-paygate-checkout") || ""), root);
      const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
      region(root);
      root.querySelector("button")?.addEventListener("click", again);
      if (visit?.type === "back_forward") say(root, "back");
      else if (root.hasAttribute("data-paygate-auto")) again();
    }
    // The end, in a window beside the merchant's page: tell that page where to go on.
    const go = /** @type {HTMLAnchorElement | null} */ (document.querySelector("a[data-paygate-go]"));
    const page = window.opener || (window.parent === window ? null : window.parent);
    if (go && !page) location.replace(safe(go.href));
    if (!go || !page) return;
    page.postMessage({ paygate: go.href }, location.origin);
    window.close();
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();

  window.paygate = { start, run };
})();
