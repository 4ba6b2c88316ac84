/** What paygate.js is given by the server, and what it offers a page. Read by editors and `tsc`, never by a browser. */

/** Send the payer's browser to `url`. */
export interface Redirect {
  type: "redirect";
  url: string;
}

/** Load `script`, call `setup.function` with its argument, go `through` (each a method of what the one before returned),
 * then call `function` with `params`. */
export interface ClientCall {
  type: "client_call";
  script: string;
  setup: { function: string; argument: string } | null;
  through?: { function: string; argument: unknown }[];
  function: string;
  params: Record<string, unknown>;
  /** How the result comes: through a callback given as second argument, through a chain of three, or not at all: the
   * script takes the browser to the return address. */
  returns: "callback" | "chain" | "redirect";
}

export interface Checkout {
  action: Redirect | ClientCall;
  /** The merchant's own address that finds out what came of it. */
  complete: string;
  /** The names that are brought back of what the PG's script told; all where there is no list. */
  keep?: string[] | null;
  /** Fields of the merchant's own that `complete` wants posted, such as a token against forged requests. */
  fields?: Record<string, string>;
}

/** The server's answer to a form: a checkout, or another page to go to. */
export type Started = Checkout & { go?: undefined } | { go: string };

/** "failed" and "script" say that nothing was charged; after "again" and "back" the payer may act once more. */
export type State = "starting" | "waiting" | "returning" | "again" | "blocked" | "back" | "failed" | "script";

export interface Paygate {
  /** Post a form to the server's start address and do what it answers. */
  start(form: HTMLFormElement, submitter?: HTMLElement | null): Promise<void>;
  /** Do what a checkout says. `root` is the element in which progress is announced. */
  run(checkout: Checkout, root?: HTMLElement): Promise<void>;
}

/** What a browser that enforces Trusted Types has. */
export interface ScriptPolicy {
  createScriptURL(url: string): string;
}

declare global {
  interface Window {
    paygate?: Paygate;
    trustedTypes?: { createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy };
  }
}
