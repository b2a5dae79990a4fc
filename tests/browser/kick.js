// kick.js URL OUT TOKEN: disconnecting sessions, with JavaScript and without.
"use strict";

const assert = require("node:assert/strict");
const { have, open, row, run, tab, unexpected, url } = require("./browser.js");

// Longest time from the click until the row disappears on every other page.
const MAX_DELAY_MS = 1000;

async function users() {
  return (await have("sessions", "awka")).map(({ user }) => user).sort();
}

// Records in the page when a row disappears.
function watch(page, user) {
  return page.evaluate((user) => {
    const row = [...document.querySelectorAll("tr[data-key]")].find((row) => row.querySelector("bdi").textContent === user);
    new MutationObserver((_, observer) => {
      if (row.isConnected) return;
      self.gone = performance.timeOrigin + performance.now();
      observer.disconnect();
    }).observe(document.getElementById("main"), { childList: true, subtree: true });
  }, user);
}

async function aDialogDisconnectsASession(browser) {
  const { page, messages, context } = await open(browser, "/sites/awka?sort=address");
  // One of the same browser, which shares what it hears, and one of another.
  const others = [await tab(context, "/sites/awka"), await open(browser, "/sites/awka?q=.&order=desc")];
  const before = await users();
  const user = before[3];
  const there = row(page, user);
  const next = await there.evaluate((row) => (row.nextElementSibling ?? row.previousElementSibling).dataset.key);
  await there.getByRole("link", { name: "Disconnect" }).click();
  const dialog = page.getByRole("dialog", { name: "Disconnect this session?" });
  await dialog.getByText(user, { exact: true }).waitFor();
  for (const other of others) await watch(other.page, user);
  await page.evaluate(() => {
    self.loads = 1;
    document.addEventListener("submit", () => (self.sent = performance.timeOrigin + performance.now()), true);
  });
  await dialog.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("status").filter({ hasText: `${user} was disconnected.` }).waitFor();
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
    assert.ok(after_ms < MAX_DELAY_MS, `${after_ms} ms`);
    assert.deepEqual(other.messages, []);
  }
  assert.equal(await page.evaluate(() => self.loads), 1, "without a reload");
  assert.equal(new URL(page.url()).search, "?sort=address");
  assert.deepEqual(messages, []);
}

// Some click everything twice, and some routers are slow.
async function twoClicksEndItOnce(browser) {
  const { page, messages } = await open(browser, "/sites/lagos");
  await page.evaluate(() => (self.loads = 1));
  await have("latency", "lagos", "200");
  await page.locator("a.disconnect").first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).dblclick();
  await page.getByRole("status").filter({ hasText: "Querying the router" }).waitFor();
  await page.getByRole("status").filter({ hasText: "was disconnected." }).waitFor();
  await have("latency", "lagos", "0");
  assert.equal((await have("sessions", "lagos")).length, 8);
  assert.equal(await page.evaluate(() => self.loads), 1, "without a reload");
  assert.deepEqual(messages, []);
}

// With the keyboard only.
async function aDialogCanBeCancelled(browser) {
  const { page, messages } = await open(browser, "/sites/awka");
  const before = await users();
  const link = page.locator("a.disconnect").nth(2);
  for (const cancel of [() => page.keyboard.press("Escape"), () => page.getByRole("link", { name: "Cancel" }).press("Enter")]) {
    await link.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.ok(await dialog.evaluate((box) => box.contains(document.activeElement)));
    await cancel();
    await dialog.waitFor({ state: "hidden" });
    assert.ok(await link.evaluate((element) => element === document.activeElement), "the focus is where it was");
  }
  assert.deepEqual(await users(), before);
  assert.deepEqual(messages, []);
}

// On a phone, with the keyboard only: find a user, open the row, disconnect, confirm, and be back in the list.
async function aFoldedRowIsDisconnectedWithTheKeyboard(browser) {
  const { page, messages } = await open(browser, "/sites/full", { viewport: { width: 360, height: 800 } });
  const before = await have("sessions", "full");
  const { user, mac } = before[7];
  const search = page.getByRole("searchbox", { name: "Search" });
  await search.press("Control+A");
  await search.pressSequentially(mac);
  await page.getByText(/ 1 of \d+ sessions match/).waitFor();
  await search.press("Tab");
  const until = async (name) => {
    for (let n = 0; n < 40; n++) {
      if ((await page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent)) === name) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab does not reach ${name}`);
  };
  await until(`Details of ${user}`);
  assert.equal(await page.getByRole("link", { name: `Disconnect ${user}` }).count(), 0, "the row is folded");
  await page.keyboard.press("Enter");
  await until(`Disconnect ${user}`);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Disconnect this session?" });
  await dialog.waitFor();
  await until("Disconnect");
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: `${user} was disconnected.` }).waitFor();
  await page.getByText(/None of the \d+ sessions match/).waitFor();
  assert.equal((await have("sessions", "full")).length, before.length - 1);
  assert.ok(await search.isVisible() && !(await dialog.isVisible()));
  assert.deepEqual(messages, []);
}

async function aDialogShowsAFailure(browser) {
  const { page, messages } = await open(browser, "/sites/awka");
  const [user] = await users();
  await row(page, user).getByRole("link", { name: "Disconnect" }).click();
  const dialog = page.getByRole("dialog", { name: "Disconnect this session?" });
  await dialog.waitFor();
  // Somebody else has that id by the time of the answer.
  await have("replace", "awka", user);
  await dialog.getByRole("button", { name: "Disconnect" }).click();
  const failure = page.getByRole("dialog", { name: "The session was not disconnected" });
  await failure.getByRole("alert").filter({ hasText: "now belongs to another session" }).waitFor();
  await failure.getByRole("link", { name: "Back" }).click();
  await row(page, "replaced").waitFor();
  assert.ok((await users()).includes("replaced"));
  assert.deepEqual(unexpected(messages), []);
}

async function aDeviceIsForgotten(browser) {
  const { page, messages } = await open(browser, "/sites/back");
  const disconnect = async (forget, notice) => {
    await page.locator("a.disconnect").first().click();
    const dialog = page.getByRole("dialog");
    if (forget) await dialog.getByLabel("Also forget the device").check();
    await dialog.getByRole("button", { name: "Disconnect" }).click();
    await page.getByRole("status").filter({ hasText: notice }).waitFor();
    return (await have("sessions", "back")).length;
  };
  assert.equal(await disconnect(false, "is online again"), 1);
  // Routers report whole seconds: in the first, the login may be later than the click.
  while ((await page.locator('#sessions td[data-label="Online for"]').textContent()).startsWith("0s")) {
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByRole("status").filter({ hasText: "Refreshed just now." }).waitFor();
  }
  assert.equal(await disconnect(true, "must log in again"), 0);
  await page.getByText("Nobody is online.").waitFor();
  assert.deepEqual(messages, []);
}

async function everythingWorksWithoutJavaScript(browser) {
  const { page, messages } = await open(browser, "/", { javaScriptEnabled: false });
  assert.equal(await page.locator('meta[http-equiv="refresh"]').getAttribute("content"), "30");
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: /Refreshed just now|sites answered/ }).waitFor();
  await page.getByRole("link", { name: "Awka" }).click();
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: "Refreshed just now." }).waitFor();

  await page.getByRole("link", { name: "Upload", exact: true }).click();
  assert.equal(await page.getByRole("columnheader", { name: "Upload", exact: true }).getAttribute("aria-sort"), "descending");
  const before = await users();
  const user = before[1];
  await page.getByRole("searchbox", { name: "Search" }).fill(user);
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText(/ 1 of \d+ sessions match/).waitFor();
  await page.getByRole("link", { name: `Disconnect ${user}` }).click();
  assert.equal(await page.locator('meta[http-equiv="refresh"]').count(), 0, "it does not reload");
  await page.getByRole("link", { name: "Cancel" }).click();
  await page.getByRole("link", { name: `Disconnect ${user}` }).click();
  await page.getByText(user, { exact: true }).waitFor();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("status").filter({ hasText: "was disconnected." }).waitFor();
  assert.deepEqual(await users(), before.filter((other) => other !== user), "on the router");
  assert.equal(await page.getByRole("searchbox", { name: "Search" }).inputValue(), user, "the same list");

  // Back in history is the confirmation, for a session that has ended.
  await page.goBack();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("alert").filter({ hasText: "has already ended" }).waitFor();
  await page.getByRole("link", { name: "Back" }).click();
  await page.getByRole("link", { name: "Configured users" }).click();
  await page.getByRole("link", { name: "Next" }).click();
  await page.getByRole("link", { name: "First page" }).click();
  await page.getByRole("link", { name: /^\d+ of / }).first().click();
  assert.match(page.url(), /\/sites\/awka\?q=/);
  await page.goto(`${url}/sites/awka`);
  await page.getByRole("button", { name: "Test the connection" }).click();
  await page.getByRole("heading", { name: "All steps succeeded" }).waitFor();
  assert.deepEqual(unexpected(messages), []);
}

run(
  aDialogDisconnectsASession,
  twoClicksEndItOnce,
  aDialogCanBeCancelled,
  aFoldedRowIsDisconnectedWithTheKeyboard,
  aDialogShowsAFailure,
  aDeviceIsForgotten,
  everythingWorksWithoutJavaScript,
);
