// live.js URL OUT TOKEN: whether a page that stands open shows what is, and disturbs nobody.
"use strict";

const assert = require("node:assert/strict");
const { have, keep, open, row, run, tab, unexpected, url } = require("./browser.js");

const SAYS_LIVE = () => document.getElementById("live").textContent === "Live.";

async function whatChangesIsChangedInPlace(browser) {
  const { page, said } = await open(browser, "/sites/awka", { viewport: { width: 700, height: 500 } });
  const [first, second, third] = (await have("sessions", "awka")).map(({ user }) => user).sort();
  await page.locator(".scroll").first().evaluate((region) => (region.scrollLeft = 40));
  await page.evaluate(() => scrollTo(0, 300));
  // The focus is on one row, a selection in another, and both rows are those of before.
  await row(page, first).getByRole("link", { name: "Disconnect" }).evaluate((link) => link.focus({ preventScroll: true }));
  await row(page, second).evaluate((row) => getSelection().selectAllChildren(row.cells[2]));
  const selected = await page.evaluate(() => {
    self.rows = [...document.querySelectorAll("tr[data-key]")];
    return getSelection().toString();
  });
  assert.match(selected, /:/);
  await have("log_in", "awka", "000-newcomer", "10.5.60.1");
  await row(page, "000-newcomer").waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.cells[0].textContent);
  assert.equal(await focused(), first, "and not who has that place now");
  await have("log_out", "awka", "000-newcomer");
  await row(page, "000-newcomer").waitFor({ state: "detached" });
  const after = await page.evaluate(() => ({
    scrolled: [scrollY, document.querySelector(".scroll").scrollLeft],
    kept: self.rows.every((row) => row.isConnected),
    selected: getSelection().toString(),
  }));
  assert.deepEqual(after, { scrolled: [300, 40], kept: true, selected });
  assert.equal(await focused(), first);

  // A row that goes with the focus on it leaves it to the next.
  await have("log_out", "awka", first);
  await row(page, first).waitFor({ state: "detached" });
  assert.equal(await focused(), second);

  // So does one that changes its place with others.
  await row(page, third).getByRole("link", { name: "Disconnect" }).focus();
  await have("replace", "awka", second);
  await row(page, "replaced").waitFor();
  assert.equal(await focused(), third);
  assert.deepEqual(said, []);
}

async function aSearchFindsAsItIsTyped(browser) {
  const { page, said } = await open(browser, "/sites/awka");
  const [{ user, mac }] = await have("sessions", "awka");
  const search = page.getByRole("searchbox", { name: "Search" });
  const field = await search.elementHandle();
  await search.pressSequentially(mac.toLowerCase(), { delay: 30 });
  await page.getByText(/^1 of \d+ sessions match/).waitFor();
  await row(page, user).waitFor();
  // What is typed while something changes stays.
  await have("log_in", "awka", "typed-beside", "10.5.60.2");
  await search.press("Backspace");
  await have("log_out", "awka", "typed-beside");
  await page.waitForFunction((length) => new URLSearchParams(location.search).get("q").length === length, mac.length - 1);
  assert.equal(await search.inputValue(), mac.toLowerCase().slice(0, -1));
  assert.ok(await field.evaluate((field) => field.isConnected && field === document.activeElement));
  await search.fill("nobody has this");
  await page.getByText(/^None of the \d+ sessions match/).waitFor();
  await search.fill("");
  await page.getByText(/^\d+ sessions\./).waitFor();
  assert.equal(new URL(page.url()).search, "");
  assert.deepEqual(said, []);
}

async function aRouterGoesDownAndUp(browser) {
  const { page, said } = await open(browser, "/");
  const card = page.locator("#site-lagos");
  await have("fault", "lagos", "no-service");
  await card.locator(".state.offline").waitFor();
  await page.getByRole("status").filter({ hasText: "Lagos: offline" }).waitFor({ state: "attached" });
  await keep(page, "router-down");
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: /[1-9] of \d sites answered\. Failed: .*Lagos/ }).waitFor();
  await have("fault", "lagos", "none");
  await card.locator(".state.online").waitFor();
  await page.getByRole("status").filter({ hasText: "Lagos: online" }).waitFor({ state: "attached" });
  await have("reboot", "lagos");
  await page.goto(`${url}/sites/lagos`);
  await page.getByText("rebooted").first().waitFor();
  assert.deepEqual(said, []);
}

async function theAgentIsLostAndFound(browser) {
  const { page, said, context } = await open(browser, "/sites/awka");
  const behind = await tab(context, "/");
  const both = [page, behind.page];
  await page.bringToFront();
  await have("agent", "kill");
  for (const page of both) {
    await page.getByRole("status").filter({ hasText: "Connection lost." }).waitFor();
    await page.getByText(/Last update \d+ s ago, retrying/).waitFor();
    assert.ok(await page.locator(".card").first().isVisible(), "what was known is there");
  }
  await keep(page, "lost");
  await have("agent", "start");
  for (const page of both) await page.waitForFunction(SAYS_LIVE);
  // Live in earnest, though the new agent counts its generations anew.
  await have("log_in", "awka", "after-the-restart", "10.5.60.3");
  await row(page, "after-the-restart").waitFor();
  await have("log_out", "awka", "after-the-restart");
  await row(page, "after-the-restart").waitFor({ state: "detached" });
  assert.equal(await page.getByText("Last update").count(), 0);
  assert.deepEqual(unexpected([...said, ...behind.said]), []);
}

// Where events don't come through, by whatever stands between, the page looks by itself.
async function withoutEventsItLooksByItself(browser) {
  let looked;
  const prepare = async (context) => {
    // Once, at the start.
    looked = context.waitForEvent("response", (response) => response.request().resourceType() === "fetch");
    await context.addInitScript(() => delete self.SharedWorker);
    await context.route("**/api/events", () => {});
    await context.clock.install();
  };
  const { page, said, context } = await open(browser, "/", { prepare });
  await looked;
  const before = await page.getAttribute("#main", "data-generation");
  await have("log_in", "awka", "unheard", "10.5.60.4");
  await context.clock.runFor(29000);
  assert.equal(await page.getAttribute("#main", "data-generation"), before);
  await context.clock.runFor(2000);
  await page.waitForFunction((before) => document.getElementById("main").dataset.generation !== before, before);
  assert.ok(await page.evaluate(SAYS_LIVE));
  await have("log_out", "awka", "unheard");
  assert.deepEqual(said, []);
}

async function aRefusedStreamIsTriedAgain(browser) {
  const prepare = async (context) => {
    await context.addInitScript(() => delete self.SharedWorker);
    await context.route("**/api/events", (route) => route.fulfill({ status: 503, body: "" }), { times: 2 });
  };
  const { page, said } = await open(browser, "/sites/awka", { prepare });
  while (said.length < 2) await page.waitForEvent("console");
  await page.waitForResponse((response) => response.url().endsWith("/api/events") && response.status() === 200);
  await have("log_in", "awka", "heard-at-last", "10.5.60.6");
  await row(page, "heard-at-last").waitFor();
  await have("log_out", "awka", "heard-at-last");
  assert.deepEqual(unexpected(said), []);
}

// After an upgrade, or a logout in another tab, it is another page altogether.
async function whatIsAnotherPageIsLoadedAnew(browser) {
  const { page, said } = await open(browser, "/");
  const isNew = async (what, answer) => {
    await page.evaluate(() => (self.isOld = true));
    const looked = await page.getAttribute("#main", "data-generation");
    await have("log_in", "awka", "makes-it-look", "10.5.60.7");
    await page.waitForFunction((before) => document.getElementById("main").dataset.generation !== before, looked);
    await page.route(`${url}/`, answer, { times: 1 });
    await have("log_out", "awka", "makes-it-look");
    await page.waitForFunction(() => !self.isOld);
    assert.ok(await page.getByRole("heading", { name: "Sites" }).isVisible(), what);
  };
  await isNew("other assets", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/page.js\?\w+/, "page.js?other") });
  });
  await isNew("a login", (route) => route.fulfill({ status: 401, body: "" }));
  assert.deepEqual(unexpected(said), []);
}

// A browser has six connections to one place.
async function manyTabsStayUsable(browser) {
  const { page, said, context } = await open(browser, "/sites/awka");
  const tabs = [];
  for (let n = 0; n < 8; n++) tabs.push(await tab(context, "/"));
  await have("log_in", "awka", "one-of-many", "10.5.60.5");
  await row(page, "one-of-many").waitFor();
  await have("log_out", "awka", "one-of-many");
  await row(page, "one-of-many").waitFor({ state: "detached" });
  for (const { page, said } of tabs) {
    assert.ok(await page.evaluate(SAYS_LIVE));
    assert.deepEqual(said, []);
  }
  assert.deepEqual(said, []);
}

run(
  whatChangesIsChangedInPlace,
  aSearchFindsAsItIsTyped,
  aRouterGoesDownAndUp,
  whatIsAnotherPageIsLoadedAnew,
  manyTabsStayUsable,
  withoutEventsItLooksByItself,
  aRefusedStreamIsTriedAgain,
  theAgentIsLostAndFound,
);
