// kick.js URL OUT TOKEN: ending sessions, with scripts and without.
"use strict";

const assert = require("node:assert/strict");
const { have, open, row, run, tab, unexpected, url } = require("./browser.js");

// Most from the click to the row's end on every other page.
const AT_ONCE_MS = 1000;

async function users() {
  return (await have("sessions", "awka")).map(({ user }) => user).sort();
}

// Notes in the page when a row goes.
function watch(page, user) {
  return page.evaluate((user) => {
    const row = [...document.querySelectorAll("tr[data-key]")].find((row) => row.cells[0].textContent === user);
    new MutationObserver((_, observer) => {
      if (row.isConnected) return;
      self.gone = performance.timeOrigin + performance.now();
      observer.disconnect();
    }).observe(document.getElementById("main"), { childList: true, subtree: true });
  }, user);
}

async function aDialogEndsASession(browser) {
  const { page, said, context } = await open(browser, "/sites/awka?sort=address");
  // One of the same browser, which shares what it hears, and one of another.
  const others = [await tab(context, "/sites/awka"), await open(browser, "/sites/awka?q=.&order=desc")];
  const before = await users();
  const user = before[3];
  const there = row(page, user);
  const next = await there.evaluate((row) => (row.nextElementSibling ?? row.previousElementSibling).dataset.key);
  await there.getByRole("link", { name: "End" }).click();
  const dialog = page.getByRole("dialog", { name: "End this session?" });
  await dialog.getByText(user, { exact: true }).waitFor();
  for (const other of others) await watch(other.page, user);
  await page.evaluate(() => {
    self.loads = 1;
    document.addEventListener("submit", () => (self.sent = performance.timeOrigin + performance.now()), true);
  });
  await dialog.getByRole("button", { name: "End the session" }).click();
  await page.getByRole("status").filter({ hasText: "The session has ended." }).waitFor();
  assert.equal(await there.count(), 0);
  assert.ok(!(await dialog.isVisible()));
  assert.deepEqual(await users(), before.filter((other) => other !== user), "on the router");
  const focused = await page.evaluate(() => document.activeElement.closest("tr")?.dataset.key);
  assert.equal(focused, next, "the focus is where the row was");
  const sent = await page.evaluate(() => self.sent);
  for (const other of others) {
    await other.page.waitForFunction(() => self.gone);
    const after_ms = (await other.page.evaluate(() => self.gone)) - sent;
    console.log(`gone from another page ${after_ms.toFixed(0)} ms after the click`);
    assert.ok(after_ms < AT_ONCE_MS, `${after_ms} ms`);
    assert.deepEqual(other.said, []);
  }
  assert.equal(await page.evaluate(() => self.loads), 1, "without a reload");
  assert.equal(new URL(page.url()).search, "?sort=address");
  assert.deepEqual(said, []);
}

// Some click everything twice, and some routers are slow.
async function twoClicksEndItOnce(browser) {
  const { page, said } = await open(browser, "/sites/lagos");
  await page.evaluate(() => (self.loads = 1));
  await have("latency", "lagos", "200");
  await page.locator("a.end").first().click();
  await page.getByRole("dialog").getByRole("button", { name: "End the session" }).dblclick();
  await page.getByRole("status").filter({ hasText: "Asking the router" }).waitFor();
  await page.getByRole("status").filter({ hasText: "The session has ended." }).waitFor();
  await have("latency", "lagos", "0");
  assert.equal((await have("sessions", "lagos")).length, 8);
  assert.equal(await page.evaluate(() => self.loads), 1, "without a reload");
  assert.deepEqual(said, []);
}

// By keys alone, and then not after all.
async function aDialogCanBeLeft(browser) {
  const { page, said } = await open(browser, "/sites/awka");
  const before = await users();
  const link = page.locator("a.end").nth(2);
  for (const leave of [() => page.keyboard.press("Escape"), () => page.getByRole("link", { name: "Back" }).press("Enter")]) {
    await link.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.ok(await dialog.evaluate((box) => box.contains(document.activeElement)));
    await leave();
    await dialog.waitFor({ state: "hidden" });
    assert.ok(await link.evaluate((element) => element === document.activeElement), "the focus is where it was");
  }
  assert.deepEqual(await users(), before);
  assert.deepEqual(said, []);
}

async function aDialogSaysWhyNot(browser) {
  const { page, said } = await open(browser, "/sites/awka");
  const [user] = await users();
  await row(page, user).getByRole("link", { name: "End" }).click();
  const dialog = page.getByRole("dialog", { name: "End this session?" });
  await dialog.waitFor();
  // Somebody else has that id by the time of the answer.
  await have("replace", "awka", user);
  await dialog.getByRole("button", { name: "End the session" }).click();
  const told = page.getByRole("dialog", { name: "The session was not ended" });
  await told.getByRole("alert").filter({ hasText: "now belongs to another session" }).waitFor();
  await told.getByRole("link", { name: "Back" }).click();
  await row(page, "replaced").waitFor();
  assert.ok((await users()).includes("replaced"));
  assert.deepEqual(unexpected(said), []);
}

async function aDeviceIsForgotten(browser) {
  const { page, said } = await open(browser, "/sites/back");
  const end = async (forget, told) => {
    await page.locator("a.end").first().click();
    const dialog = page.getByRole("dialog");
    if (forget) await dialog.getByLabel("Also forget the device").check();
    await dialog.getByRole("button", { name: "End the session" }).click();
    await page.getByRole("status").filter({ hasText: told }).waitFor();
    return (await have("sessions", "back")).length;
  };
  assert.equal(await end(false, "is back already"), 1);
  // A router tells whole seconds: until the first is over, the login may be one after the click.
  while ((await page.locator('td[data-label="Online for"]').textContent()) === "0s") {
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByRole("status").filter({ hasText: "Asked just now, and answered." }).waitFor();
  }
  assert.equal(await end(true, "must log in again"), 0);
  await page.getByText("Nobody is online.").waitFor();
  assert.deepEqual(said, []);
}

async function allOfItGoesWithoutScripts(browser) {
  const { page, said } = await open(browser, "/", { javaScriptEnabled: false });
  assert.equal(await page.locator('meta[http-equiv="refresh"]').getAttribute("content"), "30");
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: "Asked just now" }).waitFor();
  await page.getByRole("link", { name: "Awka" }).click();
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: "Asked just now, and answered." }).waitFor();

  await page.getByRole("link", { name: "Upload" }).click();
  assert.equal(await page.getByRole("columnheader", { name: "Upload" }).getAttribute("aria-sort"), "descending");
  const before = await users();
  const user = before[1];
  await page.getByRole("searchbox", { name: "Search" }).fill(user);
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("1 of").waitFor();
  await page.getByRole("link", { name: `End the session of ${user}` }).click();
  assert.equal(await page.locator('meta[http-equiv="refresh"]').count(), 0, "nobody is hurried");
  await page.getByRole("link", { name: "Back" }).click();
  await page.getByRole("link", { name: `End the session of ${user}` }).click();
  await page.getByText(user, { exact: true }).waitFor();
  await page.getByRole("button", { name: "End the session" }).click();
  await page.getByRole("status").filter({ hasText: "The session has ended." }).waitFor();
  assert.deepEqual(await users(), before.filter((other) => other !== user), "on the router");
  assert.equal(await page.getByRole("searchbox", { name: "Search" }).inputValue(), user, "the same list");

  // Back in history is the question, for a session that is gone.
  await page.goBack();
  await page.getByRole("button", { name: "End the session" }).click();
  await page.getByRole("alert").filter({ hasText: "has already ended" }).waitFor();
  await page.getByRole("link", { name: "Back" }).click();
  await page.getByRole("link", { name: "Configured users" }).click();
  await page.getByRole("link", { name: "Next" }).click();
  await page.getByRole("link", { name: "Back to the first" }).click();
  await page.getByRole("link", { name: /online|of/ }).first().click();
  assert.match(page.url(), /\/sites\/awka\?q=/);
  await page.goto(`${url}/sites/awka`);
  await page.getByRole("button", { name: "Test the connection" }).click();
  await page.getByRole("heading", { name: "All of it works" }).waitFor();
  assert.deepEqual(unexpected(said), []);
}

run(
  aDialogEndsASession,
  twoClicksEndItOnce,
  aDialogCanBeLeft,
  aDialogSaysWhyNot,
  aDeviceIsForgotten,
  allOfItGoesWithoutScripts,
);
