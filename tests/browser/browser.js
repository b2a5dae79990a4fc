// Shared by all browser tests: the browser, commands to the Rust test, and assertions for every page.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [, , url, out, token] = process.argv;

const CHROMIUM_FLAGS = [
  "--no-sandbox",
  // All requests go to loopback, some to a proxy with a test certificate.
  "--ignore-certificate-errors",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// Timeout of each wait.
const TIMEOUT_MS = 15000;

const replies = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Sends a command to the Rust test, which runs the routers and the agent, and returns its reply.
async function have(...words) {
  console.log(`! ${words.join(" ")}`);
  return JSON.parse((await replies.next()).value);
}

// Opens a page as the admin in a new browser context, and records its console messages.
async function open(browser, address, { status, prepare, ...options } = {}) {
  const context = await browser.newContext({ extraHTTPHeaders: { Authorization: `Bearer ${token}` }, ...options });
  context.setDefaultTimeout(TIMEOUT_MS);
  await prepare?.(context);
  return { ...(await tab(context, address, status)), context };
}

// Opens a page in an existing context.
async function tab(context, address, status = 200) {
  const page = await context.newPage();
  const messages = [];
  page.on("console", (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => messages.push(`error: ${error}`));
  const answer = await page.goto(url + address);
  assert.equal(answer.status(), status, address);
  return { page, messages };
}

// Without the browser's own messages about failed requests.
function unexpected(messages) {
  return messages.filter((line) => !line.startsWith("error: Failed to load resource"));
}

async function fits(page, name) {
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(needed <= there, `${name}: ${needed} px wide`);
}

async function isAccessible(page, name) {
  // The page must bypass its content security policy for this script.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate("axe.run()");
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], name);
  assert.ok(passes.length > 10, `${name}: only ${passes.length} rules were checked`);
  console.log(`${name}: fits and passes ${passes.length} rules`);
}

// Touch targets need 44 px: links that disconnect a session, and every button, unless folded away.
async function hasTouchTargets(page, name) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("main button, main .button, main .disconnect")]
      .filter((element) => element.checkVisibility())
      .map((element) => [element.textContent, element.getBoundingClientRect()])
      .filter(([, box]) => box.height < 44 || box.width < 44)
      .map(([text, { width, height }]) => `${text}: ${width} × ${height}`),
  );
  assert.deepEqual(small, [], name);
}

async function screenshot(page, name) {
  await page.screenshot({ path: path.join(out, `${name}.png`) });
}

// The row of a user.
function row(page, user) {
  return page.locator("tr[data-key]").filter({ has: page.locator(`td:first-child > bdi:text-is(${JSON.stringify(user)})`) });
}

async function run(...tests) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: CHROMIUM_FLAGS });
  try {
    for (const test of tests) {
      await test(browser);
      console.log(`${test.name}: passed`);
    }
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.exit();
  }
}

module.exports = { hasTouchTargets, fits, have, isAccessible, open, row, run, screenshot, tab, token, unexpected, url };
