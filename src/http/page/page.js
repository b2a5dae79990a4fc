// Keeps the page current without a reload: asks for it again and swaps its content, so that
// scroll and focus stay. Without this script the page reloads itself.
"use strict";

const EVERY_MS = 5000;
const WAIT_MS = 10000;

const main = document.getElementById("main");
const account = document.getElementById("account");
const live = document.getElementById("live");
let shown = Date.now();

function say(text) {
  // Announced by screen readers when it changes, so it changes only with the state.
  if (live.textContent !== text) live.textContent = text;
}

// What to find an element by again, in content that came later.
function address(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const name = ["href", "aria-label"].find((name) => element.hasAttribute(name));
  return name && `${element.localName}[${name}="${CSS.escape(element.getAttribute(name))}"]`;
}

function swap(next) {
  const focused = main.contains(document.activeElement) && address(document.activeElement);
  const scrolled = [...main.querySelectorAll(".scroll")].map((region) => [address(region), region.scrollLeft]);
  main.replaceChildren(...next.childNodes);
  for (const [region, left] of scrolled) {
    const again = main.querySelector(region);
    if (again) again.scrollLeft = left;
  }
  if (focused) main.querySelector(focused)?.focus({ preventScroll: true });
}

// Left alone while it is the same: somebody may be about to press its button.
function greet(next) {
  if (account.textContent !== next.textContent) account.replaceChildren(...next.childNodes);
}

function age() {
  const minutes = Math.floor((Date.now() - shown) / 60000);
  return minutes < 1 ? "less than a minute ago" : `${minutes} min ago`;
}

async function refresh() {
  try {
    const answer = await fetch(location.pathname, { signal: AbortSignal.timeout(WAIT_MS) });
    if (answer.status === 401) {
      // Logged out meanwhile: the page itself answers with the form to log in again.
      location.reload();
      return;
    }
    if (answer.ok) {
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      swap(next.getElementById("main"));
      greet(next.getElementById("account"));
      shown = Date.now();
      say("Live.");
    } else {
      say(`The agent refuses this page (${answer.status}). What you see is from ${age()}.`);
    }
  } catch {
    say(`The agent does not answer. What you see is from ${age()}.`);
  }
  setTimeout(refresh, EVERY_MS);
}

say("Live.");
setTimeout(refresh, EVERY_MS);
