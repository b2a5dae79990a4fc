// login.js URL OUT TOKEN: logging in and out, with JavaScript and without.
"use strict";

const assert = require("node:assert/strict");
const { fits, hasTouchTargets, have, isAccessible, open, run, screenshot, tab, token, unexpected, url } = require("./browser.js");

// Without a token.
const ANONYMOUS = { extraHTTPHeaders: {} };

// From a site's page to the form and back, with a wrong token first.
async function logIn(page) {
  await page.getByRole("link", { name: "log in as the admin" }).click();
  for (const [typed, text] of [["mistyped", "wrong"], [token, "You are the admin"]]) {
    await page.getByLabel("Token").fill(typed);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText(text).waitFor();
  }
  assert.equal(new URL(page.url()).pathname, "/sites/lagos");
  assert.equal(await page.getByRole("heading", { name: "Sessions" }).count(), 1, "who is online");
}

async function theFormIsAccessible(browser) {
  for (const [width, colorScheme] of [[1200, "light"], [360, "dark"]]) {
    const options = { ...ANONYMOUS, viewport: { width, height: 800 }, colorScheme, bypassCSP: true };
    const check = async (what) => {
      const name = `${what}-${width}-${colorScheme}`;
      await fits(page, name);
      await hasTouchTargets(page, name);
      await screenshot(page, name);
      await isAccessible(page, name);
    };
    const { page, context } = await open(browser, "/login", options);
    await check("login");
    await page.getByLabel("Token").fill("mistyped");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await check("login-wrong");
    await page.goto(`${url}/sites/lagos`);
    await check("viewer");
    await logIn(page);
    await check("admin");
    await context.close();
  }
}

async function aLogoutAffectsOtherTabs(browser) {
  const { page, messages, context } = await open(browser, "/sites/lagos", ANONYMOUS);
  await logIn(page);
  // It has fetched the page once, and knows its user.
  await page.waitForFunction(() => performance.getEntriesByType("resource").some((got) => got.initiatorType === "fetch"));
  const { page: other } = await tab(context, "/");
  await other.getByRole("button", { name: "Log out" }).click();
  await other.getByRole("link", { name: "Log in" }).waitFor();
  await have("log_in", "lagos", "somebody", "10.5.60.1");
  await page.getByRole("link", { name: "Log in", exact: true }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Sessions" }).count(), 0, "not for a viewer");
  assert.deepEqual(unexpected(messages), []);
}

// The page may learn of the logout by an update, before the response arrives: it must still go where the response leads.
async function aLogoutLeadsToTheOverview(browser) {
  const { page, context } = await open(browser, "/sites/lagos", ANONYMOUS);
  await logIn(page);
  const update = async (user, address) => {
    const response = page.waitForResponse((response) => response.request().resourceType() === "fetch" && response.url().endsWith("/sites/lagos"));
    await have("log_in", "lagos", user, address);
    await (await response).finished();
  };
  // It knows its user only after an update.
  await update("first", "10.5.60.2");
  await page.route("**/logout", async (route) => {
    const response = await route.fetch({ maxRedirects: 0 });
    await update("second", "10.5.60.3");
    // It has handled the second when it asks for the third.
    await update("third", "10.5.60.4");
    await route.fulfill({ response });
  });
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(`${url}/`);
  await page.getByRole("link", { name: "Log in" }).waitFor();
  await context.close();
}

// After the login has expired, the link to a confirmation leads to the login form.
async function anActionRequiresALogin(browser) {
  const { page, context } = await open(browser, "/sites/lagos", ANONYMOUS);
  await logIn(page);
  await context.clearCookies();
  await page.locator("a.disconnect").first().click();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("a.disconnect").first().waitFor();
  assert.equal(new URL(page.url()).pathname, "/sites/lagos");
}

async function itWorksWithoutJavaScript(browser) {
  const { page } = await open(browser, "/sites/lagos", { ...ANONYMOUS, javaScriptEnabled: false });
  await logIn(page);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("link", { name: "Log in" }).waitFor();
}

run(theFormIsAccessible, aLogoutAffectsOtherTabs, aLogoutLeadsToTheOverview, anActionRequiresALogin, itWorksWithoutJavaScript);
