// Keeps the page up to date: fetches it again after an event and updates what differs, so that scroll position, focus,
// selection and input stay. Without JavaScript, links and forms do everything and the page reloads.
//
// The script runs in each page, and in a SharedWorker that subscribes for all visible ones: a browser opens at most six
// connections to a server, so that six tabs with subscriptions of their own would block any other request.
"use strict";

const SITE_INTERVAL_MS = 500; // at least, between fetches of a site's page
const INTERVAL_MS = 5000; // of others, because some site always changes
const IDLE_FETCH_MS = 30000; // without events, because ages change
const HIDDEN_FETCH_MS = 300000; // while hidden: the title counts offline sites
const PAGE_TIMEOUT_MS = 10000;
const ACTION_TIMEOUT_MS = 35000;
const TYPING_DELAY_MS = 200;
const NOTICE_MS = 20000;

// The path below which the agent is served is that of its script.
const scriptUrl = self.document?.currentScript.src ?? self.location.href;

// Reports which sites changed, with the generation; without them, anything may have changed.
function subscribe(onChange) {
  let events, retryTimer;
  let retry_ms = 1000;
  (function connect() {
    events = new EventSource(new URL("api/events?data=keys", scriptUrl));
    events.onopen = () => {
      retry_ms = 1000;
      onChange({});
    };
    events.onerror = () => {
      onChange({});
      // The browser reconnects automatically, unless the response was an error.
      if (events.readyState !== EventSource.CLOSED) return;
      retryTimer = setTimeout(connect, retry_ms);
      retry_ms = Math.min(2 * retry_ms, IDLE_FETCH_MS);
    };
    events.addEventListener("sites", ({ data, lastEventId }) => {
      onChange({ sites: JSON.parse(data), generation: Number(lastEventId) });
    });
    events.addEventListener("config", () => onChange({}));
  })();
  return () => {
    clearTimeout(retryTimer);
    events.close();
  };
}

// Subscribes while a page is visible. The result handles the event with a page's port, which reports that.
function publisher() {
  const pages = new Set();
  let unsubscribe;
  return ({ ports: [page] }) => {
    page.onmessage = ({ data: isVisible }) => {
      pages[isVisible ? "add" : "delete"](page);
      if (!pages.size) unsubscribe = unsubscribe?.();
      else if (!unsubscribe) unsubscribe = subscribe((change) => pages.forEach((page) => page.postMessage(change)));
      // It missed all events before.
      else if (isVisible) page.postMessage({});
    };
  };
}

const key = (node) => node.dataset?.key || node.id;

function removeAndGetNext(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Times are those of the site. Their titles have the time in the zone of the browser.
function localize(page) {
  for (const time of page.querySelectorAll("time[datetime]")) {
    time.title = `${new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })} in your time zone`;
  }
}

// Makes a node equal to another, changing only what differs. Children with a key are matched by it.
function morph(node, next) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  if (node.id === "notice") return;
  for (const { name, value } of next.attributes) {
    // The user decides what is open.
    if (name !== "open" && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    if (name !== "open" && !next.hasAttribute(name)) node.removeAttribute(name);
  }
  const nextKeys = new Set([...next.children].map(key));
  const keyed = new Map();
  for (const child of [...node.children].filter(key)) {
    if (nextKeys.has(key(child))) keyed.set(key(child), child);
    else child.remove();
  }
  let at = node.firstChild;
  for (const child of [...next.childNodes]) {
    const match = key(child) ? keyed.get(key(child)) : at && !key(at) && at;
    if (!match || match.nodeName !== child.nodeName) {
      node.insertBefore(child, at);
      continue;
    }
    keyed.delete(key(child));
    // Removing the nodes before it avoids moving the match itself.
    while (at !== match && !key(at)) at = removeAndGetNext(at);
    if (match === at) at = at.nextSibling;
    else node.insertBefore(match, at);
    morph(match, child);
  }
  while (at) at = removeAndGetNext(at);
}

function runPage() {
  const [main, live, age, notice, announcement, dialog] = ["main", "live", "age", "notice", "announcement", "dialog"].map(
    (id) => document.getElementById(id),
  );
  // Who is logged in, and the version of the assets.
  const layoutOf = (page) => ["#account", "script"].map((part) => page.querySelector(part)?.outerHTML).join();
  const states = () => [...main.querySelectorAll("[data-state]")].map(({ dataset }) => `${dataset.name}: ${dataset.state}`);
  let updatedAt = Date.now();
  let isLost = false;
  let newestGeneration = 0; // of all events
  let mustFetch = false; // whatever the generation
  let isFetching = false;
  let fetchedAt = -Infinity;
  let leavingUntil = 0; // for another page, which a reload would cancel
  let pointed; // the chart and the number of the interval whose values are shown
  let ownLayout, port, fetchTimer, idleTimer, noticeTimer, typingTimer;

  // The page at an address; empty if there is no response.
  async function load(address, timeout_ms, options) {
    try {
      const response = await fetch(address, { ...options, headers: { Accept: "text/html" }, signal: AbortSignal.timeout(timeout_ms) });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      return { ok: response.ok, status: response.status, page, url: response.url };
    } catch {
      return {};
    }
  }

  function showConnection(text, lost) {
    isLost = lost;
    document.body.classList.toggle("lost", lost);
    // Screen readers announce it, so it changes only with the state; the age beside it changes each second.
    if (live.textContent !== text) live.textContent = text;
    showAge();
  }

  function showAge() {
    const s = Math.floor((Date.now() - updatedAt) / 1000);
    const ago = s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
    age.textContent = isLost ? `Last update ${ago} ago, retrying` : "";
  }

  function showNotice(text) {
    (dialog.open ? dialog.lastElementChild : notice).textContent = text;
    clearTimeout(noticeTimer);
    noticeTimer = setTimeout(() => (notice.textContent = ""), NOTICE_MS);
  }

  // A navigation may end without another page, for example in a download.
  function leave() {
    leavingUntil = performance.now() + PAGE_TIMEOUT_MS;
  }

  const isLeaving = () => performance.now() < leavingUntil;

  function reload() {
    if (!isLeaving()) location.reload();
  }

  // Updates this page to a later version of it.
  function update(page) {
    // The first is that of a fetched page, because browser extensions may have changed this one.
    ownLayout ??= layoutOf(page);
    if (ownLayout !== layoutOf(page)) return reload();
    const focused = document.activeElement;
    const row = focused.closest("tr");
    const neighbours = [row?.nextElementSibling, row?.previousElementSibling];
    const before = states();
    localize(page);
    // The wall has no bell.
    for (const part of document.querySelectorAll("#icon, #bell, #main")) morph(part, page.getElementById(part.id));
    document.title = page.title;
    if (!focused.isConnected) {
      // If its row is gone, the focus goes to the row in its place.
      const other = neighbours.find((row) => row?.isConnected)?.querySelector("a") ?? main.querySelector(".scroll");
      other?.focus({ preventScroll: true });
    } else if (focused !== document.activeElement) {
      focused.focus({ preventScroll: true });
    }
    if (pointed) showValues(pointed.chart, pointed.index);
    const changed = states().filter((state) => !before.includes(state));
    if (changed.length) announcement.textContent = changed.join(", ");
    updatedAt = Date.now();
    showConnection("Live", false);
  }

  function scheduleFetch() {
    clearTimeout(fetchTimer);
    const delay_ms = fetchedAt + (main.dataset.site ? SITE_INTERVAL_MS : INTERVAL_MS) - performance.now();
    if (isFetching) return;
    if (delay_ms > 0) fetchTimer = setTimeout(fetchPage, delay_ms);
    else fetchPage();
  }

  function fetchNow() {
    mustFetch = true;
    fetchedAt = -Infinity;
    scheduleFetch();
  }

  function fetchWhenIdle() {
    clearTimeout(idleTimer);
    idleTimer = setTimeout(fetchNow, document.hidden ? HIDDEN_FETCH_MS : IDLE_FETCH_MS);
  }

  async function fetchPage() {
    mustFetch = false;
    isFetching = true;
    fetchedAt = performance.now();
    const address = location.href;
    const { ok, status, page } = await load(address, PAGE_TIMEOUT_MS);
    isFetching = false;
    if (isLeaving()) return fetchWhenIdle();
    if (!status || status >= 500) showConnection("Connection lost.", true);
    else if (!ok) reload();
    // A search may have changed the address meanwhile.
    else if (address === location.href) update(page);
    fetchWhenIdle();
    if (mustFetch || (!isLost && newestGeneration > main.dataset.generation)) scheduleFetch();
  }

  function onChange({ sites, generation }) {
    const { site } = main.dataset;
    if (!sites) {
      // After a restart of the agent generations start again.
      newestGeneration = 0;
      fetchNow();
    } else if (!site || sites.includes(site)) {
      newestGeneration = Math.max(newestGeneration, generation);
      if (newestGeneration > main.dataset.generation) scheduleFetch();
    }
  }

  function connect(to) {
    port = to;
    port.onmessage = ({ data }) => onChange(data);
    port.postMessage(!document.hidden);
  }

  function subscribeAlone() {
    const { port1, port2 } = new MessageChannel();
    publisher()({ ports: [port2] });
    connect(port1);
  }

  document.addEventListener("visibilitychange", () => {
    port.postMessage(!document.hidden);
    clearTimeout(fetchTimer);
    if (document.hidden) fetchWhenIdle();
    else fetchNow();
  });

  // Shows a page in the dialog. Its links are relative to its own address, not to this page's.
  function openDialog(page, url) {
    localize(page);
    for (const name of ["href", "action"]) {
      for (const node of page.querySelectorAll(`main [${name}]`)) {
        node.setAttribute(name, new URL(node.getAttribute(name), url));
      }
    }
    dialog.firstElementChild.replaceChildren(...page.querySelectorAll("main > :not([role=status])"));
    dialog.lastElementChild.textContent = "";
    if (dialog.open) dialog.querySelector("[data-back]").focus();
    else dialog.showModal();
  }

  async function openConfirmation({ href }) {
    const { status, page, url } = await load(href, PAGE_TIMEOUT_MS);
    if (page?.querySelector(".confirm")) openDialog(page, url);
    // For example the login page.
    else if (status) {
      leave();
      location.assign(href);
    } else showNotice("The agent does not respond. Try again.");
  }

  async function submit(form) {
    if (form.isPending) return;
    form.isPending = true;
    showNotice("Querying the router…");
    const body = new URLSearchParams(new FormData(form));
    const { ok, status, page, url } = await load(form.action, ACTION_TIMEOUT_MS, { method: "POST", body });
    form.isPending = false;
    if (ok) {
      dialog.close();
      update(page);
      showNotice(page.getElementById("notice").textContent);
    } else if (!status) {
      showNotice("The agent does not respond. The outcome of the action is unknown.");
    } else if (dialog.open && page.querySelector("[data-back]")) {
      openDialog(page, url);
    } else {
      reload();
    }
  }

  function search(form) {
    const query = new URLSearchParams(new FormData(form));
    if (!query.get("q")) query.delete("q");
    history.replaceState(null, "", location.pathname + `?${query}`.replace(/\?$/, ""));
    fetchNow();
  }

  // Shows the values of a chart in one interval, and no longer those of another.
  function showValues(chart, at) {
    pointed?.chart.querySelector(".readout").replaceChildren();
    pointed?.chart.querySelector(".cursor").removeAttribute("d");
    pointed = undefined;
    if (!chart) return;
    const { from, step, offset, unit } = chart.dataset;
    const curves = [...chart.querySelectorAll("[data-values]")].map(({ dataset }) => [dataset.name, dataset.values.split(",")]);
    const index = Math.max(0, Math.min(at, curves[0][1].length - 1));
    const texts = curves.map(([name, values]) => {
      const [average, least, most] = values[index].split(" ");
      return `${name} ${average ? `${average} ${unit}` : "unknown"}${most ? ` (${least} to ${most})` : ""}`;
    });
    const time = new Date(1000 * (Number(from) + index * step + Number(offset))).toUTCString();
    const when = time.slice(5, 11) + (step < 86400 ? time.slice(16, 22) : "");
    chart.querySelector(".readout").textContent = `${when}: ${texts.join(", ")}`;
    chart.querySelector(".cursor").setAttribute("d", `M${index} 0v999`);
    pointed = { chart, index };
  }

  function onPointer({ target, clientX }) {
    const chart = target.closest?.(".chart > svg");
    if (!chart) return pointed && showValues();
    const { left, right } = chart.getBoundingClientRect();
    const start = left + parseFloat(getComputedStyle(chart).paddingLeft);
    const { width } = chart.querySelector(".curves").viewBox.baseVal;
    showValues(chart.parentNode, Math.floor(((clientX - start) / (right - start)) * width));
  }
  for (const type of ["pointermove", "pointerdown"]) document.addEventListener(type, onPointer);

  main.addEventListener("keydown", ({ target, key }) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!move || !target.matches(".chart > svg")) return;
    const chart = target.parentNode;
    showValues(chart, pointed?.chart === chart ? pointed.index + move : Infinity);
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    // With a modifier key the browser opens a tab or window.
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (!link.matches(".disconnect, dialog [data-back]")) return leave();
    event.preventDefault();
    if (link.matches(".disconnect")) openConfirmation(link);
    else dialog.close();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("main [role=search], .refresh, .confirm")) return leave();
    event.preventDefault();
    if (form.matches("[role=search]")) search(form);
    else submit(form);
  });

  document.addEventListener("keydown", (event) => {
    const field = document.getElementById("find");
    if (event.key !== field?.getAttribute("aria-keyshortcuts") || dialog.open || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    field.select();
  });

  main.addEventListener("input", ({ target }) => {
    if (target.name !== "q") return;
    clearTimeout(typingTimer);
    typingTimer = setTimeout(search, TYPING_DELAY_MS, target.form);
  });

  if (document.body.matches(".wall")) {
    // The browser releases the lock when the page is hidden.
    const stayAwake = () => document.hidden || navigator.wakeLock?.request("screen").catch(() => {});
    stayAwake();
    document.addEventListener("visibilitychange", stayAwake);
    document.addEventListener("click", () => document.documentElement.requestFullscreen?.().catch(() => {}));
  }
  localize(document);
  if (notice.textContent) {
    // A later fetch must not show the notice again.
    const address = new URL(location);
    for (const name of ["notice", "answered", "failed", "on", "kicked"]) address.searchParams.delete(name);
    history.replaceState(null, "", address);
    showNotice(notice.textContent);
  }
  showConnection("Live", false);
  setInterval(showAge, 1000);
  fetchWhenIdle();
  try {
    const worker = new SharedWorker(scriptUrl);
    worker.onerror = subscribeAlone;
    connect(worker.port);
  } catch {
    subscribeAlone();
  }
}

if (self.document) runPage();
else addEventListener("connect", publisher());
