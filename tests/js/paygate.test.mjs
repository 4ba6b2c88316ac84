/** paygate.js in a page made by hand: whatever the PG wants of the browser, the payer comes back to the merchant. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OtherWindow, Page } from "./page.mjs";

const COMPLETE = "https://shop.example/pay/complete/abc";
const REDIRECT = { action: { type: "redirect", url: "https://pg.example/pay/1" }, complete: COMPLETE };
const CALL = {
  action: { type: "client_call", script: "https://pg.example/sdk.js", setup: { function: "PG.init", argument: "m1" },
    function: "PG.pay", params: { order: "o1", amount: 14000 }, returns: "callback" },
  complete: COMPLETE, keep: ["order", "payment", "success"], fields: { token: "t1" },
};
const CHAIN = { ...CALL, keep: ["event", "key"], action: { ...CALL.action, setup: null, returns: "chain" } };
const COOKIE = "paygate-window /pay/complete/abc";

/** A page with one form, and a server that answers it with `json`. */
function shop(json, options, attributes) {
  const page = new Page(options);
  const form = page.form(attributes);
  page.reply = () => ({ json });
  return { page: page.run(), form };
}

/** The PG's script, which remembers how it was called. */
function sdk() {
  const made = { calls: [], init: argument => made.calls.push(["init", argument]) };
  made.pay = function (params, callback) {
    made.calls.push(["pay", params, this === made]);
    made.callback = callback;
    const chain = {};
    for (const event of ["success", "error", "cancel"]) {
      chain[event] = heard => { made[event] = heard; return chain; };
    }
    return chain;
  };
  return made;
}

/** A page where the PG's script was called and is waiting for the payer. */
async function called(checkout = CALL, options, attributes) {
  const made = shop(checkout, options, attributes), PG = sdk();
  await made.page.submit(made.form);
  await made.page.loaded({ PG });
  return { ...made, PG };
}

test("a redirect takes the payer to the PG", async () => {
  const { page, form } = shop(REDIRECT);
  const event = await page.submit(form);
  assert.equal(event.defaultPrevented, true);
  assert.deepEqual(page.went, ["https://pg.example/pay/1"]);
  assert.deepEqual(page.cookies, {});
});

test("the form's fields and the button that was pressed go to the server", async () => {
  const { page, form } = shop(REDIRECT);
  await page.submit(form, { name: "how", value: "fast" });
  const [{ url, method, headers, body }] = page.asked;
  assert.deepEqual([url, method, headers.accept, String(body)],
    ["/pay/start", "POST", "application/json", "product=book&how=fast"]);
});

test("a form that is not ours, or that somebody else handles, is left alone", async () => {
  const { page, form } = shop(REDIRECT);
  const other = page.element("form", { action: "/search" });
  page.body.append(other);
  assert.equal((await page.submit(other)).defaultPrevented, false);
  form.dispatchEvent({ type: "submit", target: form, defaultPrevented: true, bubbles: true });
  await page.settled();
  assert.deepEqual(page.asked, []);
});

test("a double click starts one checkout", async () => {
  const { page, form } = shop(REDIRECT);
  await Promise.all([page.submit(form), page.submit(form)]);
  await page.submit(form);
  assert.equal(page.asked.length, 1);
  assert.equal(page.isHeld(form), true);
});

for (const [what, reply] of [
  ["cannot be reached", () => { throw new TypeError(); }],
  ["answers 503", () => ({ status: 503, json: { error: "later" } })],
  ["answers 500 whatever stands in it", () => ({ status: 500, json: REDIRECT })],
  ["answers something else than JSON", () => ({})],
  ["names an address that is no web address", () => ({ json: { ...REDIRECT, action: { type: "redirect", url: "javascript:alert(1)" } } })],
  ["names another page that is no web address", () => ({ json: { go: "javascript:alert(1)" } })],
]) {
  test(`a server that ${what} leaves the payer on the page, able to try again`, async () => {
    const { page, form } = shop(REDIRECT);
    page.reply = reply;
    await page.submit(form);
    assert.deepEqual([page.went, page.states.at(-1), page.isHeld(form)], [[], "failed", false]);
    assert.match(page.said(form), /nothing was charged/);
    page.reply = () => ({ json: REDIRECT });
    await page.submit(form);
    assert.deepEqual(page.went, ["https://pg.example/pay/1"]);
  });
}

test("the server may send the payer to another page of the shop", async () => {
  const { page, form } = shop({ go: "/login" });
  await page.submit(form);
  assert.deepEqual(page.went, ["https://shop.example/login"]);
});

test("the PG's script is loaded, set up and called with its parameters", async () => {
  const { page, PG } = await called();
  assert.equal(page.scripts[0].src, "https://pg.example/sdk.js");
  assert.deepEqual(PG.calls, [["init", "m1"], ["pay", { order: "o1", amount: 14000 }, true]]);
  assert.equal(page.states.at(-1), "waiting");
});

test("what the script tells is posted to the merchant's page: the names that count, and nothing else", async () => {
  const { page, PG } = await called();
  PG.callback({ order: "o1", payment: 17, success: true, phone: "010", order_list: ["o1"], nested: { a: 1 } });
  assert.deepEqual(page.sent, [{ action: COMPLETE, method: "post",
    fields: { order: "o1", payment: "17", success: "true", token: "t1" } }]);
  assert.deepEqual(page.went, []);
  assert.deepEqual(page.body.querySelectorAll("form").length, 1);
});

test("a server that names nothing to bring back gets every plain value, each cut to size", async () => {
  const { page, PG } = await called({ ...CALL, keep: null, fields: undefined });
  PG.callback({ order: "o1", message: "x".repeat(5000), submit: "a field that is called so", list: [] });
  assert.deepEqual(page.sent[0].fields, { order: "o1", message: "x".repeat(1000), submit: "a field that is called so" });
});

test("only the first word of a script counts", async () => {
  const { page, PG } = await called();
  PG.callback({ order: "o1" });
  PG.callback({ order: "o2" });
  assert.deepEqual(page.sent.map(s => s.fields.order), ["o1"]);
});

for (const event of ["success", "error", "cancel"]) {
  test(`a chain says ${event} by name`, async () => {
    const { page, PG } = await called(CHAIN);
    PG[event]({ key: "k1" });
    assert.deepEqual(page.sent[0].fields, { key: "k1", event, token: "t1" });
  });
}

test("a chain that tells nothing still says what happened", async () => {
  const { page, PG } = await called(CHAIN);
  PG.cancel(undefined);
  assert.deepEqual(page.sent[0].fields, { event: "cancel", token: "t1" });
});

const THROUGH = { ...CALL, action: { ...CALL.action, setup: null, function: "request.pay", returns: "redirect",
  through: [{ function: "PG", argument: "m1" }, { function: "of", argument: { payer: "ann" } }] } };

/** A script whose one function returns an object, a method of which returns the one that pays. */
function nested(outcome) {
  const made = { calls: [] };
  const payer = { request: { pay(...given) {
    made.calls.push(["pay", given, this === payer.request]);
    return outcome;
  } } };
  const merchant = { of(argument) {
    made.calls.push(["of", argument, this === merchant]);
    return payer;
  } };
  made.PG = argument => {
    made.calls.push(["PG", argument]);
    return merchant;
  };
  return made;
}

test("a method of a returned object is called on that object, and the script itself takes the payer back", async () => {
  const { page, form } = shop(THROUGH), made = nested(new Promise(() => {}));
  await page.submit(form);
  await page.loaded({ PG: made.PG });
  assert.deepEqual(made.calls, [["PG", "m1"], ["of", { payer: "ann" }, true], ["pay", [THROUGH.action.params], true]]);
  assert.deepEqual([page.states.at(-1), page.sent, page.scripts.length], ["waiting", [], 1]);
});

test("a script that the page has already is not loaded again to reach a method of what it returns", async () => {
  const { page, form } = shop(THROUGH);
  page.window.PG = nested(undefined).PG;
  await page.submit(form);
  assert.deepEqual([page.scripts, page.states.at(-1)], [[], "waiting"]);
});

test("a promise that is broken, as when the payer closes the window, has the server look what came of it", async () => {
  const { page, form } = shop(THROUGH), made = nested(Promise.reject(new Error("USER_CANCEL")));
  await page.submit(form);
  await page.loaded({ PG: made.PG });
  await page.settled();
  assert.deepEqual(page.sent, [{ action: COMPLETE, method: "post", fields: { token: "t1" } }]);
});

test("a script without the object that was to be returned says so", async () => {
  const { page, form } = shop(THROUGH);
  await page.submit(form);
  await page.loaded({ PG: () => undefined });
  assert.deepEqual([page.states.at(-1), page.isHeld(form), page.sent], ["script", false, []]);
});

test("a script that does not load says so, and the next click loads it again", async () => {
  const { page, form } = shop(CALL);
  await page.submit(form);
  page.scripts[0].onerror(new Error());
  await page.settled();
  assert.equal(page.states.at(-1), "script");
  await page.submit(form);
  await page.loaded({ PG: sdk() });
  assert.deepEqual([page.scripts.length, page.states.at(-1)], [2, "waiting"]);
});

test("a script that never arrives is given up", async () => {
  const { page, form } = shop(CALL);
  await page.submit(form);
  await page.advance(19999);
  assert.equal(page.states.at(-1), "starting");
  await page.advance(1);
  assert.equal(page.states.at(-1), "script");
});

for (const [what, PG] of [["without the function", {}], ["that fails", { init() {}, pay() { throw new Error(); } }],
  ["that is not there", undefined]]) {
  test(`a script ${what} says so, and the payer may try again`, async () => {
    const { page, form } = shop(CALL);
    await page.submit(form);
    await page.loaded({ PG });
    assert.deepEqual([page.states.at(-1), page.isHeld(form), page.sent], ["script", false, []]);
  });
}

test("a script address that is no web address is not loaded", async () => {
  const { page, form } = shop({ ...CALL, action: { ...CALL.action, script: "data:text/javascript,alert(1)" } });
  await page.submit(form);
  assert.deepEqual([page.scripts, page.states.at(-1)], [[], "script"]);
});

test("a script that the page has already is not loaded again", async () => {
  const { page, form } = shop(CALL);
  page.window.PG = sdk();
  await page.submit(form);
  assert.deepEqual([page.scripts, page.states.at(-1)], [[], "waiting"]);
});

test("a script that says nothing when its window is closed leaves the button usable", async () => {
  const { page, form, PG } = await called();
  await page.submit(form);
  assert.equal(PG.calls.length, 2);
  page.dispatchEvent({ type: "focus" });
  assert.equal(page.states.at(-1), "waiting");  // The window has only just opened.
  await page.advance(1000);
  page.dispatchEvent({ type: "focus" });
  assert.equal(page.states.at(-1), "again");
  await page.submit(form);
  assert.equal(PG.calls.length, 4);
});

test("the button stays as it is while the window that the script opened is open", async () => {
  const { page, form, PG } = await called();
  const popup = page.window.open("https://pg.example/window");
  await page.advance(1000);
  page.dispatchEvent({ type: "focus" });
  await page.advance(60000);
  assert.deepEqual([page.states.at(-1), page.isHeld(form)], ["waiting", true]);
  await page.submit(form);
  assert.equal(PG.calls.length, 2);
  popup.close();
  await page.advance(400);
  assert.deepEqual([page.states.at(-1), page.isHeld(form)], ["again", false]);
});

test("a window that the script opened and that is paid in brings the payer back", async () => {
  const { page, PG } = await called();
  const popup = page.window.open("https://pg.example/window");
  await page.advance(1000);
  page.dispatchEvent({ type: "focus" });
  PG.callback({ order: "o1" });
  popup.close();
  await page.advance(5000);
  assert.equal(page.states.at(-1), "returning");
});

test("a payer who is on the way back is not told to try again", async () => {
  const { page, PG } = await called();
  await page.advance(1000);
  PG.callback({ order: "o1" });
  page.dispatchEvent({ type: "focus" });
  assert.equal(page.states.at(-1), "returning");
});

const POPUP = { "data-paygate-window": "popup" };

test("a pop-up is opened while the click is handled, before the server has answered", async () => {
  const { page, form } = shop(REDIRECT, {}, POPUP);
  let answer;
  page.reply = () => new Promise(done => { answer = done; });
  await page.submit(form);
  assert.equal(page.popups.length, 1);
  answer({ json: REDIRECT });
  await page.settled();
  assert.deepEqual([page.popups[0].went, page.went], [["https://pg.example/pay/1"], []]);
  assert.deepEqual(page.cookies, { [COOKIE]: "1" });
});

test("a pop-up that comes back says where the page goes on", async () => {
  const { page, form } = shop(REDIRECT, {}, POPUP);
  await page.submit(form);
  page.message({ paygate: "https://shop.example/thanks" }, page.popups[0]);
  assert.deepEqual(page.went, ["https://shop.example/thanks"]);
  assert.deepEqual([page.popups[0].closed, page.cookies, page.listens("message")], [true, {}, false]);
  await page.advance(60000);
  assert.deepEqual(page.sent, []);
});

test("a message from elsewhere, or of another kind, moves nobody", async () => {
  const { page, form } = shop(REDIRECT, {}, POPUP);
  await page.submit(form);
  page.message({ paygate: "https://evil.example" }, page.popups[0], "https://evil.example");
  page.message({ paygate: "https://shop.example/thanks" }, new OtherWindow());
  for (const data of [null, "hello", { paygate: 5 }, {}]) page.message(data, page.popups[0]);
  assert.deepEqual([page.went, page.popups[0].closed], [[], false]);
});

test("a closed pop-up is no answer: the server is asked what became of it", async () => {
  const { page, form } = shop(REDIRECT, {}, POPUP);
  await page.submit(form);
  page.popups[0].close();
  await page.advance(400);
  assert.deepEqual(page.sent, [{ action: COMPLETE, method: "post", fields: {} }]);
  assert.deepEqual([page.states.at(-1), page.cookies], ["returning", {}]);
  await page.advance(60000);
  assert.equal(page.sent.length, 1);
});

test("where pop-ups are blocked the payer is told and goes on in the page", async () => {
  const { page, form } = shop(REDIRECT, { blocked: true }, POPUP);
  await page.submit(form);
  assert.deepEqual([page.states, page.went], [["starting", "blocked"], ["https://pg.example/pay/1"]]);
  assert.deepEqual(page.cookies, {});
});

for (const [what, json] of [["a script opens its own window", CALL], ["there is another page to go to", { go: "/login" }],
  ["the server fails", undefined]]) {
  test(`a pop-up is closed where ${what}`, async () => {
    const { page, form } = shop(json, {}, POPUP);
    await page.submit(form);
    assert.equal(page.popups[0].closed, true);
  });
}

const FRAME = { "data-paygate-window": "iframe" };

test("an iframe is a dialog that can be left by its button or by Escape", async () => {
  for (const leave of [d => d.querySelector("button").click(), d => d.dispatchEvent({ type: "cancel" })]) {
    const { page, form } = shop(REDIRECT, {}, FRAME);
    await page.submit(form);
    const dialog = page.body.querySelector("dialog"), inside = dialog.querySelector("iframe");
    assert.deepEqual([dialog.open, inside.src, inside.title], [true, "https://pg.example/pay/1", "Shop"]);
    assert.equal(dialog.querySelector("button").textContent, "Close");
    assert.deepEqual(page.cookies, { [COOKIE]: "1" });
    leave(dialog);
    assert.deepEqual(page.sent, [{ action: COMPLETE, method: "post", fields: {} }]);
    assert.equal(page.body.querySelector("dialog"), null);
  }
});

test("an iframe that comes back says where the page goes on", async () => {
  const { page, form } = shop(REDIRECT, {}, FRAME);
  await page.submit(form);
  page.message({ paygate: "https://shop.example/thanks" }, page.body.querySelector("iframe").contentWindow);
  assert.deepEqual([page.went, page.body.querySelector("dialog")], [["https://shop.example/thanks"], null]);
});

test("the back button brings back a page that can be used", async () => {
  const { page, form } = shop(REDIRECT);
  await page.submit(form);
  page.dispatchEvent({ type: "pageshow", persisted: false });
  assert.equal(page.isHeld(form), true);
  page.dispatchEvent({ type: "pageshow", persisted: true });
  assert.deepEqual([page.isHeld(form), page.states.at(-1)], [false, "back"]);
  await page.submit(form);
  assert.equal(page.asked.length, 2);
});

test("a payer who stops the browser on its way to the PG can go on", async () => {
  const { page, form } = shop(REDIRECT);
  await page.submit(form);
  await page.advance(15000);
  assert.equal(page.states.at(-1), "again");
  await page.submit(form);
  assert.equal(page.went.length, 2);
});

/** A page the server made for one checkout. */
function made(checkout, options, attributes = {}) {
  const page = new Page(options);
  const button = page.element("button");
  const root = page.element("div", { "data-paygate-checkout": JSON.stringify(checkout), ...attributes }, button);
  page.body.append(root);
  return { page: page.run(), root, button };
}

test("a page made for one checkout runs it when its button is pressed", async () => {
  const { page, root, button } = made(REDIRECT);
  await page.settled();
  assert.deepEqual([page.went, page.said(root)], [[], ""]);
  button.click();
  button.click();
  await page.settled();
  assert.deepEqual([page.went, page.asked], [["https://pg.example/pay/1"], []]);
});

test("such a page may run it by itself, but not when the payer came back to it", async () => {
  const auto = { "data-paygate-auto": "" };
  assert.deepEqual(made(REDIRECT, {}, auto).page.went, ["https://pg.example/pay/1"]);
  const { page, root } = made(REDIRECT, { arrived: "back_forward" }, auto);
  assert.deepEqual([page.went, page.states], [[], ["back"]]);
  assert.match(page.said(root), /came back/);
});

test("a page's own script may run a checkout", async () => {
  const page = new Page().run();
  await page.window.paygate.run(REDIRECT);
  assert.deepEqual(page.went, ["https://pg.example/pay/1"]);
});

/** The page with which a return in another window ends. */
function end(options) {
  const page = new Page(options);
  page.body.append(page.element("a", { "data-paygate-go": "", href: "/thanks" }));
  return page.run();
}

test("a return in a pop-up tells the page that opened it and closes", () => {
  const opener = new OtherWindow();
  const page = end({ opener });
  assert.deepEqual(opener.posted, [{ data: { paygate: "https://shop.example/thanks" }, origin: "https://shop.example" }]);
  assert.deepEqual(page.went, ["closed"]);
});

test("a return in an iframe tells the page around it", () => {
  const parent = new OtherWindow();
  end({ parent });
  assert.deepEqual(parent.posted.map(p => p.data.paygate), ["https://shop.example/thanks"]);
});

test("a return in a window that nobody waits for goes on by itself", () => {
  assert.deepEqual(end().went, ["replaced by https://shop.example/thanks"]);
});

test("the place of announcements is in the page before anything is announced", () => {
  const { page, form } = shop(REDIRECT);
  const box = form.querySelector("[data-paygate-status]");
  assert.deepEqual([box.getAttribute("role"), box.getAttribute("aria-live"), box.textContent], ["status", "polite", ""]);
  assert.equal(page.states.length, 0);
});

test("announcements may stand where the page wants them", async () => {
  const page = new Page(), box = page.element("output", { "data-paygate-status": "" });
  const form = page.form();
  form.append(box);
  page.reply = () => ({ json: REDIRECT });
  await page.run().submit(form);
  assert.match(box.textContent, /Opening/);
  assert.deepEqual(form.querySelectorAll("[data-paygate-status]").length, 1);
});

test("texts are in the language of the page, or the page's own", async () => {
  const said = async (options, attributes) => {
    const { page, form } = shop(undefined, options, attributes);
    await page.submit(form);
    return page.said(form);
  };
  assert.match(await said({ lang: "ko-KR" }), /시작하지 못했습니다/);
  assert.match(await said({ lang: "fr" }), /could not be started/);
  assert.equal(await said({ lang: "fr" }, { "data-paygate-text-failed": "Raté." }), "Raté.");
});

test("each state is an event that the page's own scripts hear", async () => {
  const { page, PG } = await called();
  PG.callback({ order: "o1" });
  assert.deepEqual(page.states, ["starting", "waiting", "returning"]);
});

test("a script that is loaded carries the page's nonce and passes its script policy", async () => {
  const names = [];
  const trustedTypes = { createPolicy: (name, rules) => {
    names.push(name);
    return { createScriptURL: url => `trusted ${rules.createScriptURL(url)}` };
  } };
  const { page, form } = shop(CALL, { nonce: "n1", trustedTypes });
  await page.submit(form);
  assert.deepEqual([names, page.scripts[0].nonce, page.scripts[0].src],
    [["paygate"], "n1", "trusted https://pg.example/sdk.js"]);
});

test("a page that forbids the script policy still runs redirects", async () => {
  const trustedTypes = { createPolicy: () => { throw new TypeError(); } };
  const { page, form } = shop(REDIRECT, { trustedTypes });
  await page.submit(form);
  assert.deepEqual(page.went, ["https://pg.example/pay/1"]);
});

test("the file in the page twice acts once", async () => {
  const { page, form } = shop(REDIRECT);
  page.run();
  await page.submit(form);
  assert.equal(page.asked.length, 1);
  const other = made(CHAIN, {}, { "data-paygate-auto": "" });
  other.page.run();
  await other.page.settled();
  assert.equal(other.page.scripts.length, 1);
});
