// file.js URL OUT TOKEN: whether a page that stands open shows what is in the file by then.
"use strict";

const assert = require("node:assert/strict");
const { fits, have, keep, keepsRules, open, run } = require("./browser.js");

// From saving the file to what it changes on the page, at the most.
const SOON_MS = 3000;

async function soon(what, ...written) {
  const began = performance.now();
  await have("file", ...written);
  await what();
  const took_ms = Math.round(performance.now() - began);
  console.log(`${written}: ${took_ms} ms after the file was saved`);
  return took_ms;
}

async function aNewSiteComesByItself(browser) {
  const { page, said } = await open(browser, "/");
  const card = page.locator("#site-new");
  const figures = card.getByText("of 150 configured");
  assert.equal(await card.count(), 0);
  const took_ms = await soon(() => figures.waitFor(), "site");
  assert.ok(took_ms <= SOON_MS, `${took_ms} ms`);
  await soon(() => card.waitFor({ state: "detached" }), "same");
  assert.deepEqual(said, []);
}

async function aWrongFileIsToldAndMended(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1200]) {
      const { page, said } = await open(browser, "/", { colorScheme, viewport: { width, height: 800 } });
      const told = page.locator("#config");
      assert.equal(await told.count(), 0);
      await soon(() => told.waitFor(), "wrong");
      assert.match(await told.innerText(), /sites\.ron has a problem\.[^]*sites\.ron:2:12: unknown field `lisen` in http; did you mean `listen`\?[^]*\n +\^/);
      await fits(page, `wrong-${width}-${colorScheme}`);
      await keepsRules(page, `wrong-${width}-${colorScheme}`);
      await keep(page, `wrong-${width}-${colorScheme}`);
      // What somebody has closed stays closed.
      await told.locator("summary").click();
      await have("log_in", "awka", "somebody", "10.5.60.9");
      await page.locator("#site-awka .users dd", { hasText: "24" }).waitFor();
      assert.equal(await told.locator("details").evaluate((details) => details.open), false);
      await have("log_out", "awka", "somebody");
      await soon(() => told.waitFor({ state: "detached" }), "same");
      assert.deepEqual(said, []);
    }
  }
}

async function aPluginComesByItself(browser) {
  const { page, said } = await open(browser, "/sites/awka");
  const heading = page.getByRole("heading", { name: "Ports" });
  const ports = page.getByRole("region", { name: "Ports" });
  await soon(() => ports.getByRole("cell", { name: "ether1", exact: true }).waitFor(), "plugin");
  await keepsRules(page, "plugin");
  await fits(page, "plugin");
  await keep(page, "plugin");
  await soon(() => heading.waitFor({ state: "detached" }), "same");
  assert.deepEqual(said, []);
}

async function theFirstFileIsWaitedFor(browser) {
  await have("agent", "wait");
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1200]) {
      const { page, said } = await open(browser, "/", { colorScheme, viewport: { width, height: 800 } });
      await page.getByRole("heading", { name: "Waiting for sites.ron" }).waitFor();
      await fits(page, `waiting-${width}-${colorScheme}`);
      await keepsRules(page, `waiting-${width}-${colorScheme}`);
      await keep(page, `waiting-${width}-${colorScheme}`);
      assert.deepEqual(said, []);
    }
  }
  const { page, said } = await open(browser, "/");
  await soon(() => page.locator("#site-awka .users dd", { hasText: "23" }).waitFor(), "same");
  assert.deepEqual(said, []);
}

run(aNewSiteComesByItself, aWrongFileIsToldAndMended, aPluginComesByItself, theFirstFileIsWaitedFor);
