// look.js URL OUT TOKEN: looks at the agent's page as a person would, in Chromium, and leaves screenshots in OUT.
// The admin's token logs in.
//
// Prints what it saw. Ends with 1 at the first thing that is not as it must be.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [, , url, out, token] = process.argv;

const ALONE = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// A page with everything that its console says.
async function open(browser, address, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error}`));
  const answer = await page.goto(url + address);
  assert.equal(answer.status(), 200, address);
  return { page, said };
}

async function looksWell(browser) {
  for (const [address, width, colorScheme] of [
    ["/", 1200, "light"],
    ["/", 360, "dark"],
    ["/sites/lagos", 360, "light"],
    ["/sites/abuja", 1200, "dark"],
    ["/login", 360, "light"],
    ["/login", 1200, "dark"],
  ]) {
    const name = `${address} at ${width} px, ${colorScheme}`;
    const { page, said } = await open(browser, address, { viewport: { width, height: 800 }, colorScheme });
    await fits(page, name);
    await page.screenshot({ path: screenshot(address, width, colorScheme), fullPage: true });
    assert.deepEqual(said, [], name);

    // The rules come in past the content security policy, which lets no other script run.
    const looked = await open(browser, address, { viewport: { width, height: 800 }, colorScheme, bypassCSP: true });
    await keepsRules(looked.page, name);
  }
}

async function fits(page, name) {
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(needed <= there, `${name}: ${needed} px wide`);
}

function screenshot(address, width, colorScheme) {
  return path.join(out, `${address.replaceAll("/", "_")}-${width}-${colorScheme}.png`);
}

async function keepsRules(page, name) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate("axe.run()");
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], name);
  assert.ok(passes.length > 10, `${name}: only ${passes.length} rules looked at it`);
  console.log(`${name}: fits, says nothing, keeps ${passes.length} rules`);
}

async function staysLive(browser) {
  const { page, said } = await open(browser, "/");
  const before = await page.textContent("#main");
  const link = page.locator("#site-awka h2 a");
  await link.focus();
  await page.waitForFunction((text) => document.getElementById("main").textContent !== text, before);
  assert.ok(await link.evaluate((element) => element === document.activeElement), "the focus was lost");
  assert.equal(await page.textContent("#live"), "Live.");
  await page.route("**/*", (route) => route.abort());
  await page.waitForFunction(() => document.getElementById("live").textContent.includes("does not answer"));
  await page.unroute("**/*");
  await page.waitForFunction(() => document.getElementById("live").textContent === "Live.");
  assert.deepEqual(said.filter((line) => !line.includes("ERR_FAILED")), []);
  console.log("follows the agent, keeps the focus, says when it is lost and when it is back");

  // Where it is refused it makes way for the form.
  const fetched = (route) => route.request().resourceType() === "fetch";
  await page.route("**/*", (route) => (fetched(route) ? route.fulfill({ status: 401 }) : route.continue()));
  await page.waitForEvent("load");
  console.log("loads itself anew where it is refused");
}

async function worksWithoutScripts(browser) {
  const { page } = await open(browser, "/", { javaScriptEnabled: false });
  assert.equal(await page.locator(".card").count(), 3);
  assert.equal(await page.locator('meta[http-equiv="refresh"]').getAttribute("content"), "30");
  await page.getByRole("link", { name: "Lagos" }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Lagos");
  await logIn(page);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("link", { name: "Log in" }).waitFor();
  console.log("works without scripts");
}

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

async function logsInAndOut(browser) {
  const options = { viewport: { width: 360, height: 800 }, bypassCSP: true };
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await open(browser, "/sites/lagos", { ...options, colorScheme });
    await page.getByRole("link", { name: "log in as the admin" }).click();
    await page.getByLabel("Token").fill("mistyped");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    const name = `a wrong token, ${colorScheme}`;
    await fits(page, name);
    await keepsRules(page, name);
    await page.screenshot({ path: screenshot("/wrong", 360, colorScheme), fullPage: true });
    await page.goto(`${url}/sites/lagos`);
    await logIn(page);
    await fits(page, "the admin's page");
    await keepsRules(page, `the admin's page, ${colorScheme}`);
    await page.screenshot({ path: screenshot("/admin", 360, colorScheme) });
  }

  const { page, said } = await open(browser, "/sites/lagos", {});
  await logIn(page);
  const other = await page.context().newPage();
  await other.goto(url);
  await other.getByRole("button", { name: "Log out" }).click();
  await other.getByRole("link", { name: "Log in" }).waitFor();
  // What stands open elsewhere follows by itself.
  await page.getByRole("link", { name: "Log in", exact: true }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Hotspot" }).count(), 0, "nobody's to see any more");
  assert.deepEqual(said.filter((line) => !line.includes("401")), []);
  console.log("logs in and out");
}

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ALONE });
  try {
    await looksWell(browser);
    await staysLive(browser);
    await logsInAndOut(browser);
    await worksWithoutScripts(browser);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
