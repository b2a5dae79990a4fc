// login.js URL OUT TOKEN: logging in and out, with scripts and without.
"use strict";

const assert = require("node:assert/strict");
const { canBeTouched, fits, have, keep, keepsRules, open, run, tab, token, unexpected, url } = require("./browser.js");

// Who comes with nothing.
const NOBODY = { extraHTTPHeaders: {} };

// From a site's page to the form and back, once mistyped.
async function logIn(page) {
  await page.getByRole("link", { name: "log in as the admin" }).click();
  for (const [typed, said] of [["mistyped", "wrong"], [token, "You are the admin"]]) {
    await page.getByLabel("Token").fill(typed);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText(said).waitFor();
  }
  assert.equal(new URL(page.url()).pathname, "/sites/lagos");
  assert.equal(await page.getByRole("heading", { name: "Hotspot" }).count(), 1, "who is online");
}

async function theFormLooksWell(browser) {
  for (const [width, colorScheme] of [[1200, "light"], [360, "dark"]]) {
    const options = { ...NOBODY, viewport: { width, height: 800 }, colorScheme, bypassCSP: true };
    const looksWell = async (what) => {
      const name = `${what}-${width}-${colorScheme}`;
      await fits(page, name);
      await canBeTouched(page, name);
      await keep(page, name);
      await keepsRules(page, name);
    };
    const { page, context } = await open(browser, "/login", options);
    await looksWell("login");
    await page.getByLabel("Token").fill("mistyped");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await looksWell("login-wrong");
    await page.goto(`${url}/sites/lagos`);
    await looksWell("viewer");
    await logIn(page);
    await looksWell("admin");
    await context.close();
  }
}

async function otherTabsFollow(browser) {
  const { page, said, context } = await open(browser, "/sites/lagos", NOBODY);
  await logIn(page);
  // It has looked once, and knows whose page it is.
  await page.waitForFunction(() => performance.getEntriesByType("resource").some((got) => got.initiatorType === "fetch"));
  const { page: other } = await tab(context, "/");
  await other.getByRole("button", { name: "Log out" }).click();
  await other.getByRole("link", { name: "Log in" }).waitFor();
  await have("log_in", "lagos", "somebody", "10.5.60.1");
  await page.getByRole("link", { name: "Log in", exact: true }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Hotspot" }).count(), 0, "nobody's to see any more");
  assert.deepEqual(unexpected(said), []);
}

// The question whether to end a session, asked of who is not logged in any more.
async function anActionAsksForALoginFirst(browser) {
  const { page, context } = await open(browser, "/sites/lagos", NOBODY);
  await logIn(page);
  await context.clearCookies();
  await page.locator("a.disconnect").first().click();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("a.disconnect").first().waitFor();
  assert.equal(new URL(page.url()).pathname, "/sites/lagos");
}

async function itGoesWithoutScripts(browser) {
  const { page } = await open(browser, "/sites/lagos", { ...NOBODY, javaScriptEnabled: false });
  await logIn(page);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("link", { name: "Log in" }).waitFor();
}

run(theFormLooksWell, otherTabsFollow, anActionAsksForALoginFirst, itGoesWithoutScripts);
