/** A page just real enough for paygate.js: elements, events, windows, cookies and time, all in the hands of the test. */

import { readFileSync } from "node:fs";
import vm from "node:vm";

const SCRIPT = process.env.PAYGATE_JS;
const SOURCE = readFileSync(SCRIPT, "utf8");

class Target {
  #heard = new Map();
  addEventListener(type, listener, options = {}) {
    this.#heard.set(type, [...(this.#heard.get(type) ?? []), { listener, once: options.once }]);
  }
  removeEventListener(type, listener) {
    this.#heard.set(type, (this.#heard.get(type) ?? []).filter(h => h.listener !== listener));
  }
  dispatchEvent(event) {
    event.target ??= this;
    for (const heard of [...(this.#heard.get(event.type) ?? [])]) {
      if (heard.once) this.removeEventListener(event.type, heard.listener);
      heard.listener(event);
    }
    if (event.bubbles) this.parent?.dispatchEvent(event);
  }
  listens(type) {
    return (this.#heard.get(type) ?? []).length > 0;
  }
}

class Element extends Target {
  attributes = {};
  children = [];
  style = {};
  textContent = "";
  constructor(tag) {
    super();
    this.tag = tag;
  }
  getAttribute(name) {
    return this.attributes[name] ?? null;
  }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
  }
  hasAttribute(name) {
    return name in this.attributes;
  }
  removeAttribute(name) {
    delete this.attributes[name];
  }
  append(...children) {
    for (const child of children) {
      child.parent = this;
      this.children.push(child);
      child.put?.();
    }
  }
  remove() {
    this.parent.children = this.parent.children.filter(c => c !== this);
    this.parent = null;
  }
  *all() {
    for (const child of this.children) {
      yield child;
      yield* child.all();
    }
  }
  /** `tag`, `[attribute]` or `tag[attribute]`. */
  querySelectorAll(selector) {
    const [, tag, name] = /^(\w*)(?:\[([\w-]+)\])?$/.exec(selector);
    return [...this.all()].filter(e => (!tag || e.tag === tag) && (!name || e.hasAttribute(name)));
  }
  querySelector(selector) {
    return this.querySelectorAll(selector)[0] ?? null;
  }
  closest(selector) {
    const name = selector.slice(1, -1);
    let found = this;
    while (found && !found.hasAttribute?.(name)) found = found.parent;
    return found ?? null;
  }
  click() {
    this.dispatchEvent({ type: "click" });
  }
  get href() {
    return new URL(this.getAttribute("href"), "https://shop.example/page").href;
  }
}

class HTMLFormElement extends Element {
  append(...children) {
    super.append(...children);
    for (const { name } of children) if (name) Object.assign(this, { [name]: null });  // as a browser does
  }
}

/** Another window: a pop-up, or what is inside an iframe. */
export class OtherWindow {
  closed = false;
  went = [];
  posted = [];
  location = { replace: url => this.went.push(url) };
  close() {
    this.closed = true;
  }
  postMessage(data, origin) {
    this.posted.push({ data: structuredClone(data), origin });
  }
}

export class Page extends Target {
  went = [];
  sent = [];      // forms that were submitted: {action, method, fields}
  asked = [];     // fetch calls
  scripts = [];   // script elements that were put into the page
  states = [];
  popups = [];
  cookies = {};
  #timers = [];
  #now = 0;

  constructor({ lang = "en", nonce, blocked = false, opener = null, parent, arrived = "navigate", trustedTypes } = {}) {
    super();
    const page = this;
    this.html = new Element("html");
    this.html.setAttribute("lang", lang);
    this.head = new Element("head");
    this.body = new Element("body");
    this.html.append(this.head, this.body);
    this.html.parent = this.document = new Target();
    this.html.addEventListener("paygate", event => this.states.push(event.detail.state));
    HTMLFormElement.prototype.submit = function () {
      const fields = Object.fromEntries(this.children.map(c => [c.name, c.value]));
      page.sent.push({ action: this.getAttribute("action"), method: this.getAttribute("method"), fields });
    };
    Object.assign(this.document, {
      head: this.head, body: this.body, documentElement: this.html, baseURI: "https://shop.example/page",
      readyState: "loading", title: "Shop", currentScript: { nonce },
      createElement: tag => this.#make(tag),
      querySelector: selector => this.html.querySelector(selector),
      querySelectorAll: selector => this.html.querySelectorAll(selector),
    });
    Object.defineProperty(this.document, "cookie", {
      set: text => {
        const [, name, value, path] = /^([\w-]+)=(\w*); path=([^;]*)/.exec(text);
        if (text.includes("max-age=0")) delete this.cookies[`${name} ${path}`];
        else this.cookies[`${name} ${path}`] = value;
      },
    });
    this.reply = () => { throw new TypeError("no network"); };
    this.window = {
      document: this.document, URL, URLSearchParams, Promise, HTMLFormElement, trustedTypes,
      location: {
        origin: "https://shop.example", protocol: "https:",
        assign: url => this.went.push(url), replace: url => this.went.push(`replaced by ${url}`),
      },
      performance: { getEntriesByType: () => [{ type: arrived }] },
      CustomEvent: class { constructor(type, rest) { Object.assign(this, { type }, rest); } },
      FormData: class {
        constructor(form) { this.pairs = form.querySelectorAll("input").map(i => [i.name, i.value]); }
        append(name, value) { this.pairs.push([name, value]); }
        [Symbol.iterator]() { return this.pairs[Symbol.iterator](); }
      },
      fetch: async (url, options) => {
        this.asked.push({ url, ...options });
        const { status = 200, json } = await this.reply();
        return { ok: status < 400, status, json: async () => { if (!json) throw new SyntaxError(); return json; } };
      },
      open: () => {
        if (blocked) return null;
        this.popups.push(new OtherWindow());
        return this.popups.at(-1);
      },
      close: () => this.went.push("closed"),
      addEventListener: (...given) => this.addEventListener(...given),
      removeEventListener: (...given) => this.removeEventListener(...given),
      setTimeout: (run, ms) => this.#timers.push({ run, at: this.#now + ms }),
      setInterval: (run, every) => this.#timers.push({ run, every, at: this.#now + every }),
      clearInterval: number => { this.#timers[number - 1] = null; },
      opener,
    };
    this.window.parent = parent ?? this.window;
    this.window.window = this.window;
  }

  #make(tag) {
    const made = tag === "form" ? new HTMLFormElement(tag) : new Element(tag);
    if (tag === "script") made.put = () => this.scripts.push(made);
    if (tag === "dialog") made.showModal = () => { made.open = true; };
    if (tag === "iframe") made.contentWindow = new OtherWindow();
    return made;
  }

  element(tag, attributes = {}, ...children) {
    const made = this.#make(tag);
    for (const [name, value] of Object.entries(attributes)) {
      made.setAttribute(name, value);
      if (name === "name" || name === "value") made[name] = value;
    }
    made.append(...children);
    return made;
  }

  /** A form as a merchant writes it, already in the page. */
  form(attributes = {}) {
    const form = this.element("form", { "data-paygate": "", action: "/pay/start", ...attributes },
      this.element("input", { name: "product", value: "book" }), this.element("button"));
    this.body.append(form);
    return form;
  }

  /** Whether its button says that it does nothing now. What is announced stands beside it, so the form is never busy. */
  isHeld(form) {
    return !form.hasAttribute("aria-busy") && form.querySelector("button").getAttribute("aria-disabled") === "true";
  }

  run() {
    vm.runInContext(SOURCE, vm.createContext(this.window), { filename: SCRIPT });
    if (this.document.readyState === "loading") {
      this.document.readyState = "interactive";
      this.document.dispatchEvent({ type: "DOMContentLoaded" });
    }
    return this;
  }

  /** A click on a form's button; with everything that follows at once. */
  async submit(form, submitter = null) {
    const event = { type: "submit", target: form, submitter, bubbles: true, defaultPrevented: false,
      preventDefault() { this.defaultPrevented = true; } };
    form.dispatchEvent(event);
    await this.settled();
    return event;
  }

  async settled() {
    for (let turn = 0; turn < 20; turn += 1) await null;
  }

  async advance(ms) {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(t => t && t.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = due.at;
      if (due.every) due.at += due.every;
      else this.#timers[this.#timers.indexOf(due)] = null;
      due.run();
      await this.settled();
    }
    this.#now = until;
  }

  /** The PG's script has arrived. */
  async loaded(globals = {}) {
    Object.assign(this.window, globals);
    this.scripts.at(-1).onload();
    await this.settled();
  }

  message(data, source, origin = "https://shop.example") {
    this.dispatchEvent({ type: "message", data, source, origin });
  }

  /** What a screen reader announces for an element. */
  said(root) {
    return root.querySelector("[data-paygate-status]").textContent;
  }
}
