// look.js URL OUT: looks at the agent's page as a person would, in Chromium, and leaves screenshots in OUT.
//
// Prints what it saw. Ends with 1 at the first thing that is not as it must be.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [, , url, out] = process.argv;

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
  ]) {
    const name = `${address} at ${width} px, ${colorScheme}`;
    const { page, said } = await open(browser, address, { viewport: { width, height: 800 }, colorScheme });
    const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(needed <= there, `${name}: ${needed} px wide`);
    const file = `${address.replaceAll("/", "_")}-${width}-${colorScheme}.png`;
    await page.screenshot({ path: path.join(out, file), fullPage: true });
    assert.deepEqual(said, [], name);

    // The rules come in past the content security policy, which lets no other script run.
    const looked = await open(browser, address, { viewport: { width, height: 800 }, colorScheme, bypassCSP: true });
    await looked.page.evaluate(axe);
    const { violations, passes } = await looked.page.evaluate("axe.run()");
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], name);
    assert.ok(passes.length > 10, `${name}: only ${passes.length} rules looked at it`);
    console.log(`${name}: fits, says nothing, keeps ${passes.length} rules`);
  }
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
}

async function worksWithoutScripts(browser) {
  const { page } = await open(browser, "/", { javaScriptEnabled: false });
  assert.equal(await page.locator(".card").count(), 3);
  assert.equal(await page.locator('meta[http-equiv="refresh"]').getAttribute("content"), "30");
  await page.getByRole("link", { name: "Lagos" }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Lagos");
  console.log("works without scripts");
}

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ALONE });
  try {
    await looksWell(browser);
    await staysLive(browser);
    await worksWithoutScripts(browser);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
