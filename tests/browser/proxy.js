// proxy.js URL OUT TOKEN: all pages and actions below a path of a reverse proxy, with JavaScript and without.
"use strict";

const assert = require("node:assert/strict");
const { have, open, row, run, screenshot, token, unexpected, url } = require("./browser.js");

// Without a token.
const ANONYMOUS = { extraHTTPHeaders: {}, ignoreHTTPSErrors: true };

async function below(page, path) {
  await page.waitForURL((at) => at.href.split(/[?#]/)[0] === url + path);
}

async function users() {
  return (await have("sessions", "awka")).map(({ user }) => user).sort();
}

async function logIn(page) {
  await page.getByRole("link", { name: "Log in", exact: true }).click();
  await below(page, "/login");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("You are the admin").waitFor();
  await below(page, "/sites/awka");
}

async function logOut(page) {
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("link", { name: "Log in", exact: true }).waitFor();
  await below(page, "/");
}

async function everyLinkStaysBelow(page) {
  await page.getByRole("link", { name: "Configured users" }).click();
  await below(page, "/sites/awka/users");
  await page.getByRole("link", { name: "Awka" }).click();
  await below(page, "/sites/awka");
  await page.getByRole("button", { name: "Test the connection" }).click();
  await page.getByRole("button", { name: "Test again" }).click();
  await below(page, "/sites/awka/test");
  await page.getByRole("link", { name: "Back" }).click();
  await page.getByRole("link", { name: "Download", exact: true }).click();
  await below(page, "/sites/awka");
  await page.getByRole("link", { name: "All sites" }).click();
  await below(page, "/");
  await page.getByRole("link", { name: "Awka" }).click();
}

async function withJavaScript(browser) {
  const { page, messages, context } = await open(browser, "/sites/awka", ANONYMOUS);
  await logIn(page);
  // The change must arrive by the event stream, before the next poll.
  await page.evaluate(() => (self.loads = 1));
  await have("log_in", "awka", "somebody", "10.5.60.1");
  await row(page, "somebody").waitFor();
  await row(page, "somebody").getByRole("link", { name: "Disconnect" }).click();
  const dialog = page.getByRole("dialog", { name: "Disconnect this session?" });
  await dialog.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("status").filter({ hasText: "was disconnected." }).waitFor();
  assert.ok(!(await users()).includes("somebody"), "on the router");
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("status").filter({ hasText: "Refreshed" }).waitFor();
  await page.getByLabel("Search").fill("10.5");
  await page.waitForURL(/q=10\.5/);
  assert.equal(await page.evaluate(() => self.loads), 1, "without a reload");
  await screenshot(page, "below-a-path");
  await everyLinkStaysBelow(page);
  await logOut(page);
  assert.deepEqual(unexpected(messages), []);
  await context.close();
}

async function withoutJavaScript(browser) {
  const { page, context } = await open(browser, "/sites/awka", { ...ANONYMOUS, javaScriptEnabled: false });
  await logIn(page);
  const [user] = await users();
  await row(page, user).getByRole("link", { name: "Disconnect" }).click();
  await below(page, "/sites/awka/kick");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.getByText("was disconnected.").waitFor();
  await below(page, "/sites/awka");
  assert.ok(!(await users()).includes(user), "on the router");
  await everyLinkStaysBelow(page);
  await logOut(page);
  await context.close();
}

run(withJavaScript, withoutJavaScript);
