// live.js URL OUT TOKEN: an open page stays up to date without disturbing its user.
"use strict";

const assert = require("node:assert/strict");
const { have, open, row, run, screenshot, tab, unexpected, url } = require("./browser.js");

const IS_LIVE = () => document.getElementById("live").textContent === "Live";

async function changesAreAppliedInPlace(browser) {
  const { page, messages } = await open(browser, "/sites/awka?sort=user", { viewport: { width: 1100, height: 500 } });
  const [first, second, third] = (await have("sessions", "awka")).map(({ user }) => user).sort();
  await page.locator("#sessions .scroll").first().evaluate((region) => (region.scrollLeft = 40));
  await page.evaluate(() => scrollTo(0, 300));
  // One row has the focus, another the selection.
  await row(page, first).getByRole("link", { name: "Disconnect" }).evaluate((link) => link.focus({ preventScroll: true }));
  await row(page, second).evaluate((row) => getSelection().selectAllChildren(row.querySelector("[data-label=Address]")));
  const selected = await page.evaluate(() => {
    self.rows = [...document.querySelectorAll("tr[data-key]")];
    return getSelection().toString();
  });
  assert.match(selected, /:/);
  await have("log_in", "awka", "000-newcomer", "10.5.60.1");
  await row(page, "000-newcomer").waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.querySelector("bdi").textContent);
  assert.equal(await focused(), first, "not the row in its place");
  await have("log_out", "awka", "000-newcomer");
  await row(page, "000-newcomer").waitFor({ state: "detached" });
  const after = await page.evaluate(() => ({
    scrolled: [scrollY, document.querySelector("#sessions .scroll").scrollLeft],
    kept: self.rows.every((row) => row.isConnected),
    selected: getSelection().toString(),
  }));
  assert.deepEqual(after, { scrolled: [300, 40], kept: true, selected });
  assert.equal(await focused(), first);

  // If the row with the focus disappears, the next row gets it.
  await have("log_out", "awka", first);
  await row(page, first).waitFor({ state: "detached" });
  assert.equal(await focused(), second);

  // A row keeps the focus when others change.
  await row(page, third).getByRole("link", { name: "Disconnect" }).focus();
  await have("replace", "awka", second);
  await row(page, "replaced").waitFor();
  assert.equal(await focused(), third);
  assert.deepEqual(messages, []);
}

async function aSearchUpdatesWhileTyping(browser) {
  const { page, messages } = await open(browser, "/sites/awka");
  const [{ user, mac }] = await have("sessions", "awka");
  const search = page.getByRole("searchbox", { name: "Search" });
  const field = await search.elementHandle();
  await search.pressSequentially(mac.toLowerCase(), { delay: 30 });
  await page.getByText(/ 1 of \d+ sessions match/).waitFor();
  await row(page, user).waitFor();
  // Input is kept during changes.
  await have("log_in", "awka", "during-typing", "10.5.60.2");
  await search.press("Backspace");
  await have("log_out", "awka", "during-typing");
  await page.waitForFunction((length) => new URLSearchParams(location.search).get("q").length === length, mac.length - 1);
  assert.equal(await search.inputValue(), mac.toLowerCase().slice(0, -1));
  assert.ok(await field.evaluate((field) => field.isConnected && field === document.activeElement));
  await search.fill("nobody has this");
  await page.getByText(/None of the \d+ sessions match/).waitFor();
  await search.fill("");
  await page.getByText(/ \d+ sessions\.$/).waitFor();
  assert.equal(new URL(page.url()).search, "");
  assert.deepEqual(messages, []);
}

async function aRouterGoesOfflineAndOnline(browser) {
  const { page, messages, context } = await open(browser, "/");
  const wall = await tab(context, "/?wall");
  const card = page.locator("#site-lagos");
  await have("fault", "lagos", "no-service");
  await card.locator(".state.offline").waitFor();
  await wall.page.locator("#site-lagos.offline").waitFor();
  await page.getByRole("status").filter({ hasText: "Lagos: offline" }).waitFor({ state: "attached" });
  const table = await tab(context, "/?view=table");
  await table.page.locator("#site-lagos .users").filter({ hasText: /^had \d+$/ }).waitFor();
  await screenshot(page, "router-down");
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: /[1-9] of \d sites answered\. Failed: .*Lagos/ }).waitFor();
  await have("fault", "lagos", "none");
  await card.locator(".state.online").waitFor();
  await page.getByRole("status").filter({ hasText: "Lagos: online" }).waitFor({ state: "attached" });
  await have("reboot", "lagos");
  await page.goto(`${url}/sites/lagos`);
  const connections = page.locator("[data-key=connections]");
  await connections.locator("summary").click();
  await connections.getByText("rebooted").first().waitFor();
  assert.deepEqual([...messages, ...wall.messages, ...table.messages], []);
}

async function alertsAreMuted(browser) {
  const { page, messages } = await open(browser, "/alerts");
  await page.getByLabel("Mute").selectOption("awka");
  await page.getByRole("button", { name: "1 hour" }).click();
  await page.getByText(/Awka: muted until/).waitFor();
  await page.getByRole("button", { name: "End the mute of Awka" }).click();
  await page.getByText("No site is muted.").waitFor();
  assert.deepEqual(messages, []);
}

async function theConnectionIsLostAndRestored(browser) {
  const { page, messages, context } = await open(browser, "/sites/awka");
  const behind = await tab(context, "/");
  const both = [page, behind.page];
  await page.bringToFront();
  await have("agent", "kill");
  for (const page of both) {
    await page.getByRole("status").filter({ hasText: "Connection lost." }).waitFor();
    await page.getByText(/Last update \d+ s ago, retrying/).waitFor();
    assert.ok(await page.locator(".totals").first().isVisible(), "the last state is shown");
  }
  await screenshot(page, "lost");
  await have("agent", "start");
  for (const page of both) await page.waitForFunction(IS_LIVE);
  // Updates arrive, although the new agent's generations start again.
  await have("log_in", "awka", "after-the-restart", "10.5.60.3");
  await row(page, "after-the-restart").waitFor();
  await have("log_out", "awka", "after-the-restart");
  await row(page, "after-the-restart").waitFor({ state: "detached" });
  assert.equal(await page.getByText("Last update").count(), 0);
  assert.deepEqual(unexpected([...messages, ...behind.messages]), []);
}

// If a proxy blocks events, the page polls.
async function withoutEventsThePagePolls(browser) {
  const prepare = async (context) => {
    await context.addInitScript(() => delete self.SharedWorker);
    await context.route("**/api/events?*", () => {});
    await context.clock.install();
  };
  const { page, messages, context } = await open(browser, "/", { prepare });
  const before = await page.getAttribute("#main", "data-generation");
  await have("log_in", "awka", "unheard", "10.5.60.4");
  await context.clock.runFor(29000);
  assert.equal(await page.getAttribute("#main", "data-generation"), before);
  await context.clock.runFor(2000);
  await page.waitForFunction((before) => document.getElementById("main").dataset.generation !== before, before);
  assert.ok(await page.evaluate(IS_LIVE));
  await have("log_out", "awka", "unheard");
  assert.deepEqual(messages, []);
}

async function aRefusedStreamIsRetried(browser) {
  const prepare = async (context) => {
    await context.addInitScript(() => delete self.SharedWorker);
    await context.route("**/api/events?*", (route) => route.fulfill({ status: 503, body: "" }), { times: 2 });
  };
  const { page, messages } = await open(browser, "/sites/awka", { prepare });
  while (messages.length < 2) await page.waitForEvent("console");
  await page.waitForResponse((response) => response.url().includes("/api/events") && response.status() === 200);
  await have("log_in", "awka", "heard-at-last", "10.5.60.6");
  await row(page, "heard-at-last").waitFor();
  await have("log_out", "awka", "heard-at-last");
  assert.deepEqual(unexpected(messages), []);
}

// After an upgrade, or a logout in another tab, the whole page reloads.
async function anotherLayoutReloadsThePage(browser) {
  const { page, messages } = await open(browser, "/");
  const reloads = async (what, answer) => {
    await page.evaluate(() => (self.isOld = true));
    const before = await page.getAttribute("#main", "data-generation");
    await have("log_in", "awka", "makes-it-fetch", "10.5.60.7");
    await page.waitForFunction((before) => document.getElementById("main").dataset.generation !== before, before);
    await page.route(`${url}/`, answer, { times: 1 });
    await have("log_out", "awka", "makes-it-fetch");
    await page.waitForFunction(() => !self.isOld);
    assert.ok(await page.getByRole("heading", { name: "Sites", exact: true }).isVisible(), what);
  };
  await reloads("other assets", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/page.js\?\w+/, "page.js?other") });
  });
  await reloads("a login", (route) => route.fulfill({ status: 401, body: "" }));
  assert.deepEqual(unexpected(messages), []);
}

// A browser opens at most six connections to a server.
async function manyTabsStayUsable(browser) {
  const { page, messages, context } = await open(browser, "/sites/awka");
  const tabs = [];
  for (let n = 0; n < 8; n++) tabs.push(await tab(context, "/"));
  await have("log_in", "awka", "one-of-many", "10.5.60.5");
  await row(page, "one-of-many").waitFor();
  await have("log_out", "awka", "one-of-many");
  await row(page, "one-of-many").waitFor({ state: "detached" });
  for (const { page, messages } of tabs) {
    assert.ok(await page.evaluate(IS_LIVE));
    assert.deepEqual(messages, []);
  }
  assert.deepEqual(messages, []);
}

run(
  changesAreAppliedInPlace,
  aSearchUpdatesWhileTyping,
  aRouterGoesOfflineAndOnline,
  alertsAreMuted,
  anotherLayoutReloadsThePage,
  manyTabsStayUsable,
  withoutEventsThePagePolls,
  aRefusedStreamIsRetried,
  theConnectionIsLostAndRestored,
);
