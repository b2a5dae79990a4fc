// file.js URL OUT TOKEN: an open page follows changes of sites.ron.
"use strict";

const assert = require("node:assert/strict");
const { fits, have, isAccessible, open, run, screenshot } = require("./browser.js");

// Longest time from saving the file to the change on the page.
const MAX_DELAY_MS = 3000;

async function save(change, ...written) {
  const began = performance.now();
  await have("file", ...written);
  await change();
  const took_ms = Math.round(performance.now() - began);
  console.log(`${written}: ${took_ms} ms after the file was saved`);
  return took_ms;
}

async function aNewSiteAppears(browser) {
  const { page, messages } = await open(browser, "/");
  const card = page.locator("#site-new");
  const figures = card.getByText("of 150 configured");
  assert.equal(await card.count(), 0);
  const took_ms = await save(() => figures.waitFor(), "site");
  assert.ok(took_ms <= MAX_DELAY_MS, `${took_ms} ms`);
  await save(() => card.waitFor({ state: "detached" }), "same");
  assert.deepEqual(messages, []);
}

async function problemsOfTheFileAreShownUntilFixed(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1200]) {
      const { page, messages } = await open(browser, "/", { colorScheme, viewport: { width, height: 800 } });
      const banner = page.locator("#config");
      assert.equal(await banner.count(), 0);
      await save(() => banner.waitFor(), "wrong");
      assert.match(await banner.innerText(), /sites\.ron has a problem\.[^]*sites\.ron:2:12: unknown field `lisen` in http; did you mean `listen`\?[^]*\n +\^/);
      await fits(page, `wrong-${width}-${colorScheme}`);
      await isAccessible(page, `wrong-${width}-${colorScheme}`);
      await screenshot(page, `wrong-${width}-${colorScheme}`);
      // Closed details stay closed.
      await banner.locator("summary").click();
      await have("log_in", "awka", "somebody", "10.5.60.9");
      await page.locator("#site-awka .users dd", { hasText: "24" }).waitFor();
      assert.equal(await banner.locator("details").evaluate((details) => details.open), false);
      await have("log_out", "awka", "somebody");
      await save(() => banner.waitFor({ state: "detached" }), "same");
      assert.deepEqual(messages, []);
    }
  }
}

// The banner about the file belongs to the page behind the dialog.
async function aDialogContainsOnlyItsQuestion(browser) {
  const { page, messages } = await open(browser, "/sites/awka");
  await save(() => page.locator("#config").waitFor(), "wrong");
  await page.locator("a.disconnect").first().click();
  const dialog = page.getByRole("dialog", { name: "Disconnect this session?" });
  await dialog.waitFor();
  assert.equal(await dialog.getByText("sites.ron").count(), 0);
  await save(() => page.locator("#config").waitFor({ state: "detached" }), "same");
  assert.deepEqual(messages, []);
}

async function aNewPluginAppears(browser) {
  const { page, messages } = await open(browser, "/sites/awka");
  const heading = page.getByRole("heading", { name: "Ports" });
  const ports = page.getByRole("region", { name: "Ports" });
  await save(() => heading.waitFor(), "plugin");
  await heading.click();
  await ports.getByRole("cell", { name: "ether1", exact: true }).waitFor();
  await isAccessible(page, "plugin");
  await fits(page, "plugin");
  await screenshot(page, "plugin");
  await save(() => heading.waitFor({ state: "detached" }), "same");
  assert.deepEqual(messages, []);
}

async function thePageWaitsForTheFirstFile(browser) {
  await have("agent", "wait");
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1200]) {
      const { page, messages } = await open(browser, "/", { colorScheme, viewport: { width, height: 800 } });
      await page.getByRole("heading", { name: "Waiting for sites.ron" }).waitFor();
      await fits(page, `waiting-${width}-${colorScheme}`);
      await isAccessible(page, `waiting-${width}-${colorScheme}`);
      await screenshot(page, `waiting-${width}-${colorScheme}`);
      await page.getByLabel("Name of the site").fill("Awka");
      await page.getByLabel("Address of its router").fill("no address");
      await page.getByRole("button", { name: "Show the commands and the file" }).click();
      await page.getByText("Expected a host name or an address").waitFor();
      await isAccessible(page, `setup-error-${width}-${colorScheme}`);
      await page.getByLabel("Address of its router").fill("10.0.1.1");
      await page.getByRole("button", { name: "Show the commands and the file" }).click();
      await page.getByRole("region", { name: "RouterOS commands" }).getByText("/user add name=api-user").waitFor();
      await fits(page, `setup-${width}-${colorScheme}`);
      await isAccessible(page, `setup-${width}-${colorScheme}`);
      await screenshot(page, `setup-${width}-${colorScheme}`);
      assert.deepEqual(messages, []);
    }
  }
  const { page, messages } = await open(browser, "/");
  await save(() => page.locator("#site-awka .users dd", { hasText: "23" }).waitFor(), "same");
  assert.deepEqual(messages, []);
}

run(
  aNewSiteAppears,
  problemsOfTheFileAreShownUntilFixed,
  aDialogContainsOnlyItsQuestion,
  aNewPluginAppears,
  thePageWaitsForTheFirstFile,
);
