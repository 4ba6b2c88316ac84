// Put before every stand-in for a PG's browser script, inside one function of its own. What a stand-in opens is a page
// of the sandbox that served it: nothing is asked of another host, and a merchant's policy has to allow this script only.

const sandbox = new URL(document.currentScript.src).origin;

/** The page on which the sandbox asks the payer. What is asked travels in the fragment, so no request carries it. */
function pageFor(asked) {
  return `${sandbox}/__page__/window#${encodeURIComponent(JSON.stringify(asked))}`;
}

/** Leave this page for the payer's; the PG sends the browser back. */
function leaveFor(asked) {
  location.assign(pageFor(asked));
}

/**
 * Open the payer's page as a pop-up. `done(result)` is called once: with what the page told; with `unknown` where the
 * pop-up was gone before it told anything; with `blocked` where the browser opened none.
 */
function popUp(asked, { done, unknown, blocked }) {
  const nonce = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  const page = pageFor({ ...asked, tells: { origin: location.origin, nonce } });
  const opened = window.open(page, "paygate-sandbox", "popup,width=480,height=780");
  if (!opened) {
    setTimeout(() => done(blocked));
    return;
  }
  let ifGone = unknown;
  let goneFor = 0;
  const finish = (result) => {
    clearInterval(watch);
    removeEventListener("message", hear);
    done(result);
  };
  const hear = (event) => {
    if (event.origin !== sandbox || event.data?.nonce !== nonce) return;
    if (event.data.ifGone) ifGone = event.data.ifGone;
    if (event.data.result) finish(event.data.result);
  };
  addEventListener("message", hear);
  // A pop-up that tells its result closes at once, and the message may come after the closing is seen.
  const watch = setInterval(() => {
    goneFor = opened.closed ? goneFor + 1 : 0;
    if (goneFor > 2) finish(ifGone);
  }, 200);
}
