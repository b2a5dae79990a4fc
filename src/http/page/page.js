// Keeps the page current: hears what changes, fetches the page again and changes what differs, so that
// scroll, focus, selection and typing stay. Without it links and forms do all, and the page reloads.
//
// It runs in each page, and in a SharedWorker that listens for all of them: a browser has six connections
// to one place, and six tabs that listen would leave none.
"use strict";

const APART_MS = 500; // from one look to the next
const EVERY_MS = 30000; // where nothing is heard: ages go on
const WAIT_MS = 10000; // for a page
const DONE_MS = 35000; // for an action
const TYPED_MS = 200;
const NOTICE_MS = 20000;

// Tells which site changed, with the generation; with neither, that anything may have.
function follow(tell) {
  let events;
  let retry_ms = 1000;
  (function listen() {
    events = new EventSource(new URL("api/events", script));
    events.onopen = () => {
      retry_ms = 1000;
      tell({});
    };
    events.onerror = () => {
      tell({});
      // It tries again by itself, unless the answer was an error.
      if (events.readyState !== EventSource.CLOSED) return;
      setTimeout(listen, retry_ms);
      retry_ms = Math.min(2 * retry_ms, EVERY_MS);
    };
    events.addEventListener("site", ({ data, lastEventId }) => {
      tell({ site: JSON.parse(data).site, generation: Number(lastEventId) });
    });
    events.addEventListener("config", () => tell({}));
  })();
  return () => events.readyState === EventSource.OPEN;
}

function work() {
  const pages = [];
  const isOpen = follow((news) => pages.forEach((page) => page.postMessage(news)));
  self.onconnect = ({ ports: [page] }) => {
    pages.push(page);
    // It has missed what was told since it was made.
    if (isOpen()) page.postMessage({});
  };
}

// Below what path the agent is served: where its script is.
const script = self.document?.currentScript.src ?? self.location.href;

const key = (node) => node.dataset?.key || node.id;

// Takes a node away; gives the one after it.
function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Makes a node like another, changing only what differs. Children with a key are found by it.
function morph(node, next) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  if (node.id === "notice") return;
  for (const { name, value } of next.attributes) {
    // What can be opened is as who reads has left it.
    if (name !== "open" && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    if (name !== "open" && !next.hasAttribute(name)) node.removeAttribute(name);
  }
  const kept = new Set([...next.children].map(key));
  const keyed = new Map();
  for (const child of [...node.children].filter(key)) {
    if (kept.has(key(child))) keyed.set(key(child), child);
    else child.remove();
  }
  let at = node.firstChild;
  for (const wanted of [...next.childNodes]) {
    const found = key(wanted) ? keyed.get(key(wanted)) : at && !key(at) && at;
    if (!found || found.nodeName !== wanted.nodeName) {
      node.insertBefore(wanted, at);
      continue;
    }
    keyed.delete(key(wanted));
    // What stood between it and those that are gone: so it need not be moved itself.
    while (at !== found && !key(at)) at = drop(at);
    if (found === at) at = at.nextSibling;
    else node.insertBefore(found, at);
    morph(found, wanted);
  }
  while (at) at = drop(at);
}

function show() {
  const [main, live, age, notice, news, dialog] = ["main", "live", "age", "notice", "news", "dialog"].map((id) =>
    document.getElementById(id),
  );
  // Who is logged in, and which agent's script it is.
  const frame = (page) => ["header", "script"].map((part) => page.querySelector(part)?.outerHTML).join();
  const states = () => [...main.querySelectorAll("[data-state]")].map(({ dataset }) => `${dataset.name}: ${dataset.state}`);
  let seen = Date.now();
  let isLost = false;
  let newest = 0; // generation that was heard of
  let must = false; // look, whatever was heard
  let looking = false;
  let looked = -APART_MS;
  let leaving = false; // for another page: a reload would stay on this one
  let own, timer, idle, saying, typing;

  // The page at an address; nothing where there is no answer.
  async function load(address, wait_ms, options) {
    try {
      const answer = await fetch(address, { ...options, headers: { Accept: "text/html" }, signal: AbortSignal.timeout(wait_ms) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return { ok: answer.ok, status: answer.status, page, url: answer.url };
    } catch {
      return {};
    }
  }

  function state(text, lost) {
    isLost = lost;
    document.body.classList.toggle("lost", lost);
    // It is announced, so it changes with the state only; the age counts on beside it.
    if (live.textContent !== text) live.textContent = text;
    tick();
  }

  function tick() {
    const s = Math.floor((Date.now() - seen) / 1000);
    const old = s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
    age.textContent = isLost ? `What you see is ${old} old.` : "";
  }

  function say(text) {
    (dialog.open ? dialog.lastElementChild : notice).textContent = text;
    clearTimeout(saying);
    saying = setTimeout(() => (notice.textContent = ""), NOTICE_MS);
  }

  // Makes this page like a later one of it.
  function become(page) {
    // That of the first look is this page's own, into which a browser's extensions may have written.
    own ??= frame(page);
    if (own !== frame(page)) return location.reload();
    const focused = document.activeElement;
    const row = focused.closest("tr");
    const near = [row?.nextElementSibling, row?.previousElementSibling];
    const before = states();
    morph(main, page.getElementById("main"));
    if (!focused.isConnected) {
      // With its row gone, on to the one in its place.
      const other = near.find((row) => row?.isConnected)?.querySelector("a") ?? main.querySelector(".scroll");
      other?.focus({ preventScroll: true });
    } else if (focused !== document.activeElement) {
      focused.focus({ preventScroll: true });
    }
    const changed = states().filter((state) => !before.includes(state));
    if (changed.length) news.textContent = changed.join(", ");
    seen = Date.now();
    state("Live.", false);
  }

  function want() {
    clearTimeout(timer);
    const rest_ms = looked + APART_MS - performance.now();
    if (looking) return;
    if (rest_ms > 0) timer = setTimeout(look, rest_ms);
    else look();
  }

  function wantNow() {
    must = true;
    looked = -APART_MS;
    want();
  }

  async function look() {
    must = false;
    looking = true;
    looked = performance.now();
    const address = location.href;
    const { ok, status, page } = await load(address, WAIT_MS);
    looking = false;
    if (leaving) return;
    if (!status || status >= 500) state("The agent does not answer.", true);
    else if (!ok) location.reload();
    // While it was asked for somebody may have typed on.
    else if (address === location.href) become(page);
    clearTimeout(idle);
    idle = setTimeout(wantNow, EVERY_MS);
    if (must || (!isLost && newest > main.dataset.generation)) want();
  }

  function hear({ site, generation }) {
    if (!site) {
      must = true;
      // Of another run, maybe, which counts anew.
      newest = 0;
    } else if (!main.dataset.site || main.dataset.site === site) {
      newest = Math.max(newest, generation);
    }
    if (must || newest > main.dataset.generation) want();
  }

  // Shows the page at an address in the dialog. Its links are relative to that address, and not to this page's.
  function open(page, url) {
    for (const name of ["href", "action"]) {
      for (const node of page.querySelectorAll(`main [${name}]`)) {
        node.setAttribute(name, new URL(node.getAttribute(name), url));
      }
    }
    dialog.firstElementChild.replaceChildren(...page.getElementById("main").children);
    dialog.lastElementChild.textContent = "";
    if (dialog.open) dialog.querySelector("[data-back]").focus();
    else dialog.showModal();
  }

  async function ask({ href }) {
    const { status, page, url } = await load(href, WAIT_MS);
    if (page?.querySelector(".confirm")) open(page, url);
    // One must log in first, say.
    else if (status) {
      leaving = true;
      location.assign(href);
    } else say("The agent does not answer.");
  }

  async function send(form) {
    if (form.isUnderWay) return;
    form.isUnderWay = true;
    say("Asking the router…");
    const body = new URLSearchParams(new FormData(form));
    const { ok, status, page, url } = await load(form.action, DONE_MS, { method: "POST", body });
    form.isUnderWay = false;
    if (ok) {
      dialog.close();
      become(page);
      say(page.getElementById("notice").textContent);
    } else if (!status) {
      say("The agent does not answer. Whether it was done is not known.");
    } else if (dialog.open && page.querySelector("[data-back]")) {
      open(page, url);
    } else {
      location.reload();
    }
  }

  function search(form) {
    const query = new URLSearchParams(new FormData(form));
    if (!query.get("q")) query.delete("q");
    history.replaceState(null, "", location.pathname + `?${query}`.replace(/\?$/, ""));
    wantNow();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.end, dialog [data-back]");
    // With a key it is for a tab of its own.
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.matches(".end")) ask(link);
    else dialog.close();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches(".search, .refresh, .confirm")) return;
    event.preventDefault();
    if (form.matches(".search")) search(form);
    else send(form);
  });

  main.addEventListener("input", ({ target }) => {
    if (target.name !== "q") return;
    clearTimeout(typing);
    typing = setTimeout(search, TYPED_MS, target.form);
  });

  if (notice.textContent) {
    // Of what brought one here, and of no later look.
    const address = new URL(location);
    address.searchParams.delete("notice");
    history.replaceState(null, "", address);
    say(notice.textContent);
  }
  state("Live.", false);
  setInterval(tick, 1000);
  wantNow();
  try {
    const worker = new SharedWorker(script);
    worker.onerror = () => follow(hear);
    worker.port.onmessage = ({ data }) => hear(data);
  } catch {
    follow(hear);
  }
}

if (self.document) show();
else work();
