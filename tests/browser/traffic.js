// traffic.js URL: the bytes that an open overview of busy sites takes, and that a hidden page is silent.
"use strict";

const assert = require("node:assert/strict");
const net = require("node:net");
const { run, url } = require("./browser.js");

const MEASURED_MS = 30000;
const SILENT_MS = 5000;
const MAX_PER_MINUTE = 100 * 1024;

// A proxy that counts the bytes in both directions.
async function startProxy() {
  const { hostname, port } = new URL(url);
  const bytes = { toAgent: 0, toBrowser: 0 };
  const server = net.createServer((browser) => {
    const agent = net.connect(port, hostname);
    browser.on("data", ({ length }) => (bytes.toAgent += length)).pipe(agent);
    agent.on("data", ({ length }) => (bytes.toBrowser += length)).pipe(browser);
    browser.on("error", () => agent.destroy());
    agent.on("error", () => browser.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { bytes, address: `http://127.0.0.1:${server.address().port}` };
}

function setHidden(page, isHidden) {
  return page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}

async function anOpenOverviewHasLowTraffic(browser) {
  const { bytes, address } = await startProxy();
  const total = () => bytes.toAgent + bytes.toBrowser;
  const context = await browser.newContext();
  const page = await context.newPage();
  const isNewer = (than) => page.waitForFunction((than) => Number(document.getElementById("main").dataset.generation) > Number(than), than);
  await page.goto(`${address}/`);
  await isNewer(await page.getAttribute("#main", "data-generation"));
  const [before, began] = [{ ...bytes }, performance.now()];
  await page.waitForTimeout(MEASURED_MS);
  const minutes = (performance.now() - began) / 60000;
  const [sent, received] = ["toAgent", "toBrowser"].map((name) => Math.round((bytes[name] - before[name]) / minutes));
  console.log(`an open overview: ${received} bytes per minute received, ${sent} sent`);
  assert.ok(sent + received <= MAX_PER_MINUTE, `${sent + received} bytes, expected at most ${MAX_PER_MINUTE}`);
  await setHidden(page, true);
  // A fetch that has begun still completes.
  let hidden;
  for (let seconds = 0; hidden !== total(); seconds += 1) {
    assert.ok(seconds < 15, "bytes while hidden");
    hidden = total();
    await page.waitForTimeout(1000);
  }
  await page.waitForTimeout(SILENT_MS);
  assert.equal(total() - hidden, 0, "bytes while hidden");
  const last = await page.getAttribute("#main", "data-generation");
  await setHidden(page, false);
  await isNewer(last);
}

run(anOpenOverviewHasLowTraffic);
