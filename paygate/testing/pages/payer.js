// What the payer's pages of the sandbox need a script for. main[data-todo] holds what to do, as JSON:
//   open:    post what stands in the address's fragment there, and go to the page that the answer names
//   ifGone:  tell the opener what to take for the result if this window goes away undecided
//   leaving: where this is the pop-up that a shop opened: tell the PG, at that address, when it goes away undecided
//   result:  tell the opener the result, and close
//   close:   close
//   tells:   whom to tell: the opener's origin, and the word by which it knows this window
"use strict";

const main = document.querySelector("main");
const todo = JSON.parse(main.dataset.todo ?? "{}");

function tell(what) {
  window.opener?.postMessage({ nonce: todo.tells.nonce, ...what }, todo.tells.origin);
}

function say(text) {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.textContent = text;
  main.append(line);
}

async function open() {
  try {
    const asked = decodeURIComponent(location.hash.slice(1));
    const answer = await fetch(todo.open, { method: "POST", body: asked, headers: { "content-type": "application/json" } });
    const { page } = await answer.json();
    if (!answer.ok || !page) throw new Error(`the sandbox answered ${answer.status}`);
    location.replace(page);
  } catch (error) {
    say(`The window could not be opened: ${error.message}.`);
  }
}

if (todo.open) open();
if (todo.tells && todo.ifGone) tell({ ifGone: todo.ifGone });
if (todo.leaving && todo.tells && window.opener) {
  let decided = false;
  document.addEventListener("submit", () => { decided = true; });
  addEventListener("pagehide", () => { if (!decided) navigator.sendBeacon(todo.leaving); });
}
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
if (todo.tells && todo.result) tell({ result: todo.result });
if (todo.close && window.opener) window.close();
