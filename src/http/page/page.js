// Keeps the page current without a reload: asks for it again and swaps its content,
// so that scroll position stays. Without this script the page reloads itself.
"use strict";

const main = document.getElementById("main");
const live = document.getElementById("live");
const EVERY_MS = 5000;
const WAIT_MS = 10000;

let shown = Date.now();

function say(text) {
  // Announced by screen readers when it changes, so it changes only with the state.
  if (live.textContent !== text) live.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch(location.pathname, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(WAIT_MS),
    });
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    // A person at a link or in a table keeps it until they have left it.
    if (!main.contains(document.activeElement)) main.replaceChildren(...next.childNodes);
    shown = Date.now();
    say("Live.");
  } catch {
    const minutes = Math.floor((Date.now() - shown) / 60000);
    say(`The agent does not answer. What you see is from ${minutes < 1 ? "less than a minute" : minutes + " min"} ago.`);
  }
  setTimeout(refresh, EVERY_MS);
}

say("Live.");
setTimeout(refresh, EVERY_MS);
