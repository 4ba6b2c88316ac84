// The control room: asks the control API once a second what there is and shows it; every button is one call to it.
// Text from the API is only ever set as text, with what does not print made visible.
"use strict";

const EVERY_MS = 1000;
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

let info = []; // of each gateway what does not change: address, credentials, endpoints
let seen = null; // the last overview
let controls = {}; // by gateway

// Asking

async function ask(method, path, body) {
  const headers = { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error ?? `the sandbox answered ${answer.status}`);
  return said;
}

const at = (gateway, rest) => `/gateways/${encodeURIComponent(gateway)}/${rest}`;

let silence;
function say(text, bad = false) {
  const line = $("#said");
  line.textContent = shown(text);
  line.classList.toggle("bad", bad);
  clearTimeout(silence);
  silence = setTimeout(() => { line.textContent = ""; }, bad ? 9000 : 4000);
}

/** Do what a button is for, tell how it went, and show what has changed. */
async function act(what, done) {
  try {
    const result = await what();
    const text = typeof done === "function" ? done(result) : done;
    if (text) say(text);
    return result;
  } catch (error) {
    say(error.message, true);
    return undefined;
  } finally {
    await look();
  }
}

// Building

/** Text as it may be shown: controls, escapes and text direction become visible. */
function shown(value) {
  return String(value ?? "").replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, (c) =>
    c === "\n" || c === "\t" ? c : `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** An element: properties are attributes, `on…` are listeners, children are elements or text. */
function h(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child === undefined || child === null) continue;
    made.append(child instanceof Node ? child : shown(child));
  }
  return made;
}

const korea = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Seoul", dateStyle: "short", timeStyle: "medium" });
const clockText = (iso) => korea.format(new Date(iso));
const time = (iso) => (iso ? h("time", { datetime: iso, title: `${iso} (UTC)` }, clockText(iso)) : "");

function distance(iso) {
  const s = Math.round((new Date(iso) - new Date(seen.now)) / 1000);
  const [n, unit] = Math.abs(s) < 90 ? [s, "second"] : Math.abs(s) < 5400 ? [s / 60, "minute"]
    : Math.abs(s) < 129600 ? [s / 3600, "hour"] : [s / 86400, "day"];
  return new Intl.RelativeTimeFormat("en").format(Math.round(n), unit);
}

const GOOD = /^(paid|complete|active|delivered|executed, paid|finished|success)/i;
const BAD = /fail|unpaid|declin|refused|expired/i;
const WAIT = /ready|standby|created|waiting|pending|scheduled/i;
function state(word) {
  const kind = GOOD.test(word) ? "good" : BAD.test(word) ? "bad" : WAIT.test(word) ? "wait" : "";
  return word ? h("span", { class: `state ${kind}` }, word.replace(/_/g, " ").toLowerCase()) : "";
}

function code(text, label = "Copy") {
  const button = h("button", { type: "button", class: "small", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      getSelection().selectAllChildren(button.nextElementSibling);
      say("Selected: copy it with your keyboard.");
    }
  } }, label);
  return h("div", { class: "code" }, button, h("pre", { tabindex: "0" }, text));
}

const button = (label, onclick, properties) => h("button", { type: "button", onclick, ...properties }, label);

/** Show `items` in `list`, each built once and built again only when it has changed, so that focus stays. */
function fill(list, items, key, build) {
  const before = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const focused = document.activeElement?.dataset?.focus;
  let place = list.firstElementChild;
  for (const item of items) {
    const name = key(item), text = JSON.stringify(item);
    let node = before.get(name);
    if (!node || node.said !== text) {
      const fresh = build(item);
      fresh.dataset.key = name;
      fresh.said = text;
      if (node) {
        if (node === place) place = fresh;
        keep(node, fresh);
        node.replaceWith(fresh);
      }
      node = fresh;
    }
    before.delete(name);
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
  }
  for (const gone of before.values()) {
    if (gone === place) place = gone.nextElementSibling;
    gone.remove();
  }
  if (focused && document.activeElement === document.body) $(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

/** What a person has opened or chosen in a row that is built again. */
function keep(old, fresh) {
  const opened = $$("details", old).map((d) => d.open);
  $$("details", fresh).forEach((d, n) => { d.open = opened[n] ?? false; });
  const chosen = $$("select, input", old).map((field) => field.value);
  $$("select, input", fresh).forEach((field, n) => { if (chosen[n] !== undefined) field.value = chosen[n]; });
}

const cell = (label, ...children) => h("td", { "data-label": label, role: "cell" }, children.length > 1 ? h("div", null, children) : children);
const row = (...cells) => h("tr", { role: "row" }, cells);
const of = (gateway) => h("td", { class: "of", "data-label": "Gateway", role: "cell" }, gateway);

// What there is

/** Every gateway's `list`, each item with the gateway it is of. */
function all(list) {
  const only = $("#filter").value;
  return seen.gateways.filter((g) => !only || g.name === only)
    .flatMap((g) => g[list].map((item) => ({ ...item, gateway: g.name })));
}

const newest = (items) => items.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));

function show() {
  document.body.classList.toggle("one", info.length < 2 || $("#filter").value !== "");
  showClock();
  const first = info.find((g) => g.name === $("#filter").value) ?? info[0];
  fill($("#first"), first ? [first] : [], (g) => g.name, (g) => code(`${g.connect}\n${g.pay}`));
  section("waiting", all("waiting"), (w) => `${w.gateway} ${w.handle}`, waitingCard);
  section("held", newest(all("held")), (p) => `${p.gateway} ${p.provider_id ?? p.order_id} ${p.at}`, heldRow);
  section("keys", newest(all("keys")), (k) => `${k.gateway} ${k.value}`, keyRow);
  section("running", all("running"), (r) => `${r.gateway} ${r.number}`, runningRow, false);
  showTimeline();
  section("hooks", newest(all("hooks").filter((hook) => hook)), (hook) => `${hook.gateway} ${hook.n}`, hookCard);
  section("journal", newest(all("journal")), (m) => `${m.gateway} ${m.at} ${m.provider_id} ${m.kind} ${m.money.amount}`, journalRow);
  fill($('[data-list="totals"]'), totals(), (t) => t.currency, totalRow);
  section("faults", all("faults"), (f) => `${f.gateway} ${f.number}`, faultCard);
  const urls = seen.gateways.flatMap((g) => g.webhook_urls.filter((u) => u.url).map((u) => `${g.name} (${u.kind}): ${u.url}`));
  $("#hook-urls").textContent = shown(urls.length ? urls.join(" · ") : "No gateway was told a webhook address yet.");
}

function section(name, items, key, build, counted = true) {
  fill($(`[data-list="${name}"]`), items, key, build);
  const table = $(`[data-table="${name}"]`), empty = $(`[data-empty="${name}"]`), more = $(`[data-more="${name}"]`);
  if (table) table.hidden = !items.length;
  if (empty) empty.hidden = items.length > 0;
  if (!counted) return;
  const only = $("#filter").value;
  const whole = seen.gateways.filter((g) => !only || g.name === only).reduce((n, g) => n + (g.counts[name] ?? g[name].length), 0);
  $(`[data-count="${name}"]`).textContent = whole || "";
  if (more) more.textContent = whole > items.length ? `The newest ${items.length} of ${whole} are shown.` : "";
}

function showClock() {
  const now = $("#now");
  now.textContent = clockText(seen.now);
  now.setAttribute("datetime", seen.now);
  const due = all("dated").filter((d) => d.is_due && d.at > seen.now).sort((a, b) => (a.at < b.at ? -1 : 1));
  const next = $("#next");
  if (!due.length) {
    next.textContent = seen.gateways.some((g) => g.is_ledger_shown) ? "Nothing is due."
      : "Nothing is due at the gateways. What your paygate charges by itself stands in your ledger: paygate due --ledger … lists it.";
    delete next.dataset.said;
    return;
  }
  const first = due[0], text = `${first.gateway} ${first.at} ${first.what} ${first.order_id} ${distance(first.at)}`;
  if (next.dataset.said === text) return;
  next.dataset.said = text;
  next.replaceChildren(`Next due ${distance(first.at)}: `, shown(`${first.what}, ${first.gateway}, order ${first.order_id}, `),
    time(first.at), " ", button("Advance to it", () => advanceTo(first.at), { class: "small", "data-focus": "next" }));
}

function advanceTo(iso) {
  return act(() => ask("POST", "/clock/advance", { to: iso }), (clock) => `It is ${clockText(clock.now)} now.`);
}

function waitingCard(w) {
  const reasons = info.find((g) => g.name === w.gateway)?.decline_reasons ?? [];
  const reason = h("select", { "aria-label": "Reason of the decline" }, reasons.map((r) => h("option", null, r)));
  const decide = (action, more = {}) => act(async () => {
    const { result } = await ask("POST", at(w.gateway, "controls/payer"), { order_id: w.handle, action, ...more });
    brought(w, action, result);
  }, `${w.order_id}: ${action}.`);
  const press = (label, action, properties, more) => button(label, () => decide(action, more?.()), {
    "data-focus": `${w.gateway} ${w.handle} ${action}`, ...properties });
  return h("li", null,
    h("div", { class: "line" }, h("h3", null, w.title || "Payment"), h("strong", null, w.money.text),
      w.takes_money ? null : h("span", { class: "state" }, "registers a billing key 빌링키, no charge"),
      w.page ? h("a", { href: w.page, target: "_blank", rel: "noreferrer" }, "open the payer's page ↗") : null),
    h("div", { class: "quiet" }, `order ${w.order_id}, ${w.gateway}, since `, time(w.opened_at)),
    h("div", { class: "acts" },
      press("Approve 승인", "approve", { class: "yes" }),
      h("span", { class: "pair" }, press("Decline 거절", "decline", null, () => ({ message: reason.value })), reason),
      press("Close 닫기", "close"),
      press("Pay late 늦은 승인", "late", { title: "The payer's browser is gone; the approval arrives in 10 minutes" }, () => ({ after_s: 600 }))));
}

/** Show what the browser brings back to the shop after a payer's act here. */
function brought(w, action, result) {
  const place = $("#brought");
  if (!result) {
    place.replaceChildren(h("p", null, `${w.order_id}: the payer's browser is gone.`));
    return;
  }
  const urls = Object.entries(result).filter(([name]) => name.includes("redirect")).map(([, value]) => value);
  const url = urls.find((value) => /^https?:/.test(value));
  if (urls.length && !url && !Object.keys(result.query ?? {}).length) {
    place.replaceChildren(h("p", null, `${w.order_id}: no browser had followed the link to the payer's page, so none goes back to the shop.`));
    return;
  }
  place.replaceChildren(h("details", { open: true },
    h("summary", null, `What the browser brings back for ${w.order_id} (${action})`),
    url ? h("p", null, h("a", { href: url, rel: "noreferrer", target: "_blank" }, "Send the browser back to the shop")) : null,
    code(JSON.stringify(result, null, 2))));
}

function heldRow(p) {
  const returned = p.returned.amount ? p.returned.text : "";
  return row(cell("Time", time(p.at)), of(p.gateway), cell("Order", p.order_id, p.own_id ? h("div", null, `yours: ${p.own_id}`) : null,
      p.title ? h("div", { class: "quiet" }, p.title) : null),
    cell("Payment at the PG", h("code", null, p.provider_id ?? "")),
    h("td", { class: "amount", "data-label": "Amount", role: "cell" }, p.money.text, p.takes_money ? null : h("div", { class: "quiet" }, "not charged")),
    h("td", { class: "amount", "data-label": "Given back", role: "cell" }, returned),
    cell("State", p.takes_money ? state(p.status) : h("span", { class: "state" }, p.status), p.note ? h("div", { class: "quiet" }, p.note) : null));
}

function keyRow(k) {
  return row(cell("Time", time(k.at)), of(k.gateway), cell("Value", h("code", null, k.value)), cell("Of", k.about));
}

function runningRow(r) {
  return row(cell("Since", time(r.began_at)), of(r.gateway),
    cell("Subscription", r.title, h("div", { class: "quiet" }, `number ${r.number}, order ${r.order_id}, ${r.renewals} ${r.renewals === 1 ? "renewal" : "renewals"}`)),
    h("td", { class: "amount", "data-label": "Amount", role: "cell" }, h("div", null, r.money.text, h("div", { class: "quiet" }, `each ${r.every.toLowerCase().replace(/^1 /, "")}`))), cell("Next", time(r.next_at)), cell("State", state(r.status)));
}

function showTimeline() {
  const dated = all("dated").sort((a, b) => (a.at < b.at ? -1 : 1));
  const next = dated.findIndex((d) => d.is_due);
  const now = { isNow: true, at: "" };
  const lines = dated.length ? dated.toSpliced(next < 0 ? dated.length : next, 0, now) : [];
  fill($('[data-list="dated"]'), lines, (d) => (d.isNow ? "now" : `${d.gateway} ${d.at} ${d.what} ${d.order_id}`), (d) => {
    if (d.isNow) return h("li", { class: "now" }, "now");
    return h("li", { class: d.is_due ? "due" : "past" },
      h("div", { class: "line" }, time(d.at), h("strong", null, d.what), h("span", null, d.money?.text ?? ""), state(d.status),
        d.is_due ? button("Advance to it", () => advanceTo(d.at), { class: "small", "data-focus": `to ${d.gateway} ${d.at} ${d.order_id}` }) : null),
      h("div", { class: "quiet" }, `order ${d.order_id}, ${d.gateway}`, d.note ? `: ${d.note}` : ""));
  });
  const empty = $('[data-empty="dated"]');
  empty.hidden = dated.length > 0 || all("running").length > 0;
  $('[data-count="dated"]').textContent = dated.filter((d) => d.is_due).length || "";
}

function hookCard(hook) {
  const last = hook.deliveries.at(-1);
  const how = (d) => (d.state === "delivered" ? `delivered ${d.status}` : d.error ? `${d.state}: ${d.error}` : d.status ? `${d.state} ${d.status}` : d.state);
  const body = h("div", { class: "body" });
  const open = async (event) => {
    if (!event.target.open || body.firstChild) return;
    try {
      const whole = await ask("GET", at(hook.gateway, `hooks/${hook.n}`));
      const headers = Object.entries(whole.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
      let text = whole.body;
      try {
        text = JSON.stringify(JSON.parse(whole.body), null, 2);
      } catch {
        // A form, or cut: shown as it is.
      }
      body.replaceChildren(h("pre", { tabindex: "0" }, headers), h("pre", { tabindex: "0" }, text));
    } catch (error) {
      say(error.message, true);
    }
  };
  return h("li", null,
    h("div", { class: "line" }, h("strong", null, `Webhook ${hook.n}`), state(last?.status && last.state === "delivered" ? how(last) : last?.state ?? "waiting"), time(hook.at), h("span", null, hook.gateway),
      button("Deliver again 재전송", () => act(
        () => ask("POST", at(hook.gateway, `hooks/${hook.n}/redeliver`), {}), (d) => `Webhook ${hook.n}: ${how(d)}.`),
      { class: "small", "data-focus": `hook ${hook.gateway} ${hook.n}`, disabled: !hook.url })),
    h("div", { class: "quiet" }, hook.url ? `to ${hook.url}` : "to nobody: no address was saved when it was sent",
      hook.url && last && last.state !== "delivered" && how(last) !== last.state ? `; ${how(last)}` : "",
      hook.deliveries.length > 1 ? `; deliveries: ${hook.deliveries.map(how).join(", ")}` : ""),
    h("details", { ontoggle: open }, h("summary", null, `Body, ${hook.body_bytes} bytes`), body));
}

function journalRow(m) {
  const [out, into] = [`−${m.money.text}`, `+${m.money.text}`];
  const charge = m.kind === "charge";
  return row(cell("Time", time(m.at)), of(m.gateway), cell("Order", m.order_id), cell("What", charge ? "charge 결제" : "refund 환불"),
    h("td", { class: "amount", "data-label": "Payers", role: "cell" }, charge ? out : into),
    h("td", { class: "amount", "data-label": "Merchant", role: "cell" }, charge ? into : out));
}

/** Sums over the gateways that are shown, by currency. */
function totals() {
  const rows = all("totals"), made = new Map();
  for (const t of rows) made.set(t.currency, [...(made.get(t.currency) ?? []), t]);
  return [...made].map(([currency, parts]) => ({ currency, text: parts.length === 1 ? parts[0].kept.text : sum(parts.map((p) => p.kept)),
    charged: parts.length === 1 ? parts[0].charged.text : sum(parts.map((p) => p.charged)),
    refunded: parts.length === 1 ? parts[0].refunded.text : sum(parts.map((p) => p.refunded)) }));
}

/** Amounts of one currency together, written as the API writes the first of them. */
function sum(amounts) {
  const total = amounts.reduce((n, m) => n + m.amount, 0);
  const decimals = (amounts.find((m) => m.text.includes("."))?.text.split(".")[1] ?? "").replace(/\D/g, "").length;
  const number = (total / 10 ** decimals).toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return `${number} ${amounts[0].currency}`;
}

function totalRow(t) {
  return row(h("td", { "data-label": "Total", role: "cell", colspan: document.body.classList.contains("one") ? 3 : 4 },
    `Total ${t.currency}: ${t.charged} charged, ${t.refunded} refunded; the two sides are even`),
  h("td", { class: "amount", "data-label": "Payers", role: "cell" }, `−${t.text}`),
  h("td", { class: "amount", "data-label": "Merchant", role: "cell" }, `+${t.text}`));
}

function faultCard(f) {
  return h("li", null, h("strong", null, f.kind), ` on `, h("code", null, f.on === ".*" ? "every call of the API" : f.on), `, ${f.times} more ${f.times === 1 ? "time" : "times"}, ${f.gateway} `,
    button("Remove", () => act(() => ask("DELETE", at(f.gateway, `faults/${f.number}`)), "The fault is taken back."),
      { class: "small", "data-focus": `fault ${f.gateway} ${f.number}` }));
}

// Once, at the beginning and after the sandbox was started again

async function begin() {
  ({ gateways: info } = await ask("GET", "/gateways"));
  const { kinds, about } = await ask("GET", "/faults/kinds");
  controls = Object.fromEntries(await Promise.all(info.map(async (g) => [g.name, (await ask("GET", at(g.name, "controls"))).controls])));
  const names = info.map((g) => g.name);
  for (const select of $$("[data-gateways]")) options(select, names.map((n) => [n, n]));
  options($("#filter"), [["", "all gateways"], ...names.map((n) => [n, n])]);
  options($("#fault [name=kind]"), kinds.map((k) => [k, `${k}: ${about[k]}`]));
  $("#fault [name=kind]").value = "drop_after";
  for (const form of ["#fault", "#control"]) $(`${form} [name=gateway]`).dispatchEvent(new Event("change"));
  fill($('[data-list="gateways"]'), info, (g) => g.name, gatewayCard);
}

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => h("option", { value }, text)));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

function gatewayCard(g) {
  return h("li", null,
    h("div", { class: "line" }, h("h3", null, g.name), h("code", null, g.url)),
    h("details", null, h("summary", null, "Connect to it with test credentials"), code(g.connect)));
}

// Forms

function onSubmit(selector, what) {
  const form = $(selector);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    what(form.elements, form);
  });
}

for (const step of $$("#steps button")) {
  step.addEventListener("click", () => act(() => ask("POST", "/clock/advance", { seconds: Number(step.dataset.seconds) }),
    (clock) => `It is ${clockText(clock.now)} now.`));
}
onSubmit("#by", ({ amount, unit }) => act(() => ask("POST", "/clock/advance", { seconds: Number(amount.value) * Number(unit.value) }),
  (clock) => `It is ${clockText(clock.now)} now.`));
onSubmit("#to", ({ to }) => advanceTo(`${to.value.length === 16 ? `${to.value}:00` : to.value}+09:00`));
onSubmit("#hook-url", ({ gateway, url }) => {
  const control = controls[gateway.value]?.find((c) => c.name === "set_webhook_url");
  if (!control) return say(`${gateway.value} offers no such setting.`, true);
  const kinds = seen.gateways.find((g) => g.name === gateway.value).webhook_urls.map((u) => u.kind);
  const every = kinds.length > 1 ? kinds.map((kind) => ({ kind, url: url.value })) : [{ url: url.value }];
  return act(() => Promise.all(every.map((body) => ask("POST", at(gateway.value, "controls/set_webhook_url"), body))), "Saved.");
});
onSubmit("#fault", ({ gateway, endpoint, kind, on, times }) => act(
  () => ask("POST", at(gateway.value, "faults"), { kind: kind.value, on: endpoint.value === "own" ? on.value : endpoint.value, times: Number(times.value) }),
  `Dialled: ${kind.value}.`));
onSubmit("#control", async ({ gateway, control, arguments: given }) => {
  let body;
  try {
    body = JSON.parse(given.value || "{}");
  } catch {
    return say("The arguments are not JSON.", true);
  }
  const said = await act(() => ask("POST", at(gateway.value, `controls/${encodeURIComponent(control.value)}`), body), `${control.value}: done.`);
  const place = $("#result");
  place.hidden = said === undefined;
  place.textContent = said === undefined ? "" : shown(JSON.stringify(said.result, null, 2));
  return undefined;
});
onSubmit("#browse", async ({ gateway, action }) => {
  let asked;
  try {
    asked = JSON.parse(action.value);
  } catch {
    return say("This is not JSON. Print it with json.dumps(checkout.action.to_dict()).", true);
  }
  if (/^https?:\/\//.test(asked?.url ?? "")) {
    window.open(asked.url, "_blank", "noreferrer");
    return undefined;
  }
  await act(() => ask("POST", at(gateway.value, "controls/open_window"), { params: asked?.params ?? asked }), "The window is open; decide above.");
  return undefined;
});
$("#filter").addEventListener("change", () => { if (seen) show(); });
$("#fault [name=gateway]").addEventListener("change", (event) => {
  const endpoints = info.find((g) => g.name === event.target.value)?.endpoints ?? [];
  options($("#fault [name=endpoint]"), [[".*", "every call of the API"], ...endpoints.map((e) => [e.on, e.name]), ["own", "a regular expression…"]]);
});
$("#fault [name=endpoint]").addEventListener("change", (event) => { $("#own-pattern").hidden = event.target.value !== "own"; });
$("#control [name=gateway]").addEventListener("change", (event) => {
  options($("#control [name=control]"), (controls[event.target.value] ?? []).map((c) => [c.name, c.name]));
  $("#control [name=control]").dispatchEvent(new Event("change"));
});
$("#control [name=control]").addEventListener("change", (event) => {
  const found = controls[$("#control [name=gateway]").value]?.find((c) => c.name === event.target.value);
  $("#about").textContent = found ? shown(`${found.name}${found.signature}\n${found.about}`) : "";
});

// A table that is shown as blocks on a phone is one still.
for (const [selector, role] of [["table", "table"], ["thead, tbody, tfoot", "rowgroup"], ["tr", "row"], ["th", "columnheader"]]) {
  for (const element of $$(selector)) element.setAttribute("role", role);
}

// Living

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  try {
    if (!info.length) await begin();
    seen = await ask("GET", "/overview");
    show();
    $("#problem").hidden = true;
    $("#live").textContent = "up to date";
    $("#live").className = "state good";
  } catch (error) {
    info = [];
    $("#live").textContent = "not connected";
    $("#live").className = "state bad";
    $("#problem").hidden = false;
    $("#problem").textContent = `The sandbox does not answer (${shown(error.message)}). Start it again with: paygate sandbox`;
  } finally {
    looking = false;
  }
}

async function live() {
  if (!document.hidden) await look();
  setTimeout(live, EVERY_MS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
live();
