// What all looks at the page have in common: the browser, the other side, what must hold of every page.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [, , url, out, token] = process.argv;

const ALONE = [
  "--no-sandbox",
  // Only loopback is asked here, a proxy there with a certificate of the tests'.
  "--ignore-certificate-errors",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// What a look may take to find what it waits for.
const PATIENCE_MS = 15000;

const replies = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Has the test, which holds the routers and the agent, do something; gives what it answers.
async function have(...words) {
  console.log(`! ${words.join(" ")}`);
  return JSON.parse((await replies.next()).value);
}

// A page of the admin's, with everything that its console says, in a browser that is new.
async function open(browser, address, { status, prepare, ...options } = {}) {
  const context = await browser.newContext({ extraHTTPHeaders: { Authorization: `Bearer ${token}` }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  await prepare?.(context);
  return { ...(await tab(context, address, status)), context };
}

// The same in a browser that is there.
async function tab(context, address, status = 200) {
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error}`));
  const answer = await page.goto(url + address);
  assert.equal(answer.status(), status, address);
  return { page, said };
}

// The browser itself tells of each answer that is an error, and of each that did not come.
function unexpected(said) {
  return said.filter((line) => !line.startsWith("error: Failed to load resource"));
}

async function fits(page, name) {
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(needed <= there, `${name}: ${needed} px wide`);
}

async function keepsRules(page, name) {
  // The rules come in past the content security policy, which lets no other script run.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate("axe.run()");
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], name);
  assert.ok(passes.length > 10, `${name}: only ${passes.length} rules looked at it`);
  console.log(`${name}: fits and keeps ${passes.length} rules`);
}

// Fingers need room: what ends a session, and every button.
async function canBeTouched(page, name) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("main button, main .button, main .disconnect")]
      .map((element) => [element.textContent, element.getBoundingClientRect()])
      .filter(([, box]) => box.height < 44 || box.width < 44)
      .map(([text, { width, height }]) => `${text}: ${width} × ${height}`),
  );
  assert.deepEqual(small, [], name);
}

async function keep(page, name) {
  await page.screenshot({ path: path.join(out, `${name}.png`) });
}

// The row of a user.
function row(page, user) {
  return page.locator("tr[data-key]").filter({ has: page.getByRole("cell", { name: user, exact: true }) });
}

async function run(...looks) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ALONE });
  try {
    for (const look of looks) {
      await look(browser);
      console.log(`${look.name}: well`);
    }
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.exit();
  }
}

module.exports = { canBeTouched, fits, have, keep, keepsRules, open, row, run, tab, token, unexpected, url };
