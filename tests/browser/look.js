// look.js URL OUT TOKEN: layout and accessibility of every page: narrow and wide, light and dark.
"use strict";

const assert = require("node:assert/strict");
const { fits, hasTouchTargets, have, isAccessible, open, run, screenshot, unexpected } = require("./browser.js");

// Name, address, status and button of each page.
const PAGES = [
  ["overview", "/"],
  ["table", "/?view=table&sort=-users"],
  ["wall", "/?wall"],
  ["search", "/search?q=10."],
  ["alerts", "/alerts"],
  ["site", "/sites/awka"],
  ["full", "/sites/full"],
  ["sorted", "/sites/awka?sort=upload&order=desc&q=1#sessions"],
  ["users", "/sites/awka/users"],
  ["filtered", "/sites/awka/users?filter=disabled&sort=-usedShare&q=a"],
  ["kick", "/sites/awka/kick?id=*A053202"],
  ["gone", "/sites/awka/kick?id=*1&user=nobody&mac="],
  ["notice", "/sites/awka?notice=back"],
  ["away", "/sites/gone"],
  ["users-away", "/sites/gone/users", 502],
  ["missing", "/sites/nowhere", 404],
  ["tested", "/sites/awka", 200, "Test the connection"],
  ["tested-away", "/sites/gone", 200, "Test the connection"],
];

async function everyPageIsAccessible(browser) {
  await have("wait", "gone", "closed");
  await have("fires");
  for (const [width, colorScheme] of [[1200, "light"], [360, "dark"]]) {
    for (const [title, address, status, button] of PAGES) {
      const name = `${title}-${width}-${colorScheme}`;
      const viewport = { width, height: 800 };
      const options = { viewport, colorScheme, bypassCSP: true, status };
      const { page, messages, context } = await open(browser, address, options);
      if (button) {
        await page.getByRole("button", { name: button }).click();
        await page.getByRole("region", { name: "Steps" }).waitFor();
      }
      await fits(page, name);
      await hasTouchTargets(page, name);
      await screenshot(page, name);
      await isAccessible(page, name);
      assert.deepEqual(status ? unexpected(messages) : messages, [], name);
      await context.close();
    }
  }
}

async function dialogsAreAccessible(browser) {
  for (const [width, colorScheme] of [[1200, "dark"], [360, "light"]]) {
    const name = `dialog-${width}-${colorScheme}`;
    const { page, messages, context } = await open(browser, "/sites/awka", {
      viewport: { width, height: 800 },
      colorScheme,
      bypassCSP: true,
      reducedMotion: "reduce",
    });
    if (width === 360) await page.locator("#sessions tbody tr").first().click({ position: { x: 30, y: 20 } });
    await page.locator("a.disconnect").first().click();
    await page.getByRole("dialog", { name: "Disconnect this session?" }).waitFor();
    await fits(page, name);
    await screenshot(page, name);
    await isAccessible(page, name);
    assert.deepEqual(messages, [], name);
    await context.close();
  }
}

// The latest interval is at the right edge of a chart.
async function chartsShowValuesUnderThePointer(browser) {
  for (const [width, colorScheme] of [[1200, "light"], [360, "dark"]]) {
    const name = `charts-${width}-${colorScheme}`;
    const { page, messages, context } = await open(browser, "/sites/awka?range=3h", {
      viewport: { width, height: 800 },
      colorScheme,
      bypassCSP: true,
    });
    for (const part of ["charts", "history"]) {
      if (width < 640) await page.locator(`[data-key=${part}] > summary`).click();
    }
    const chart = page.getByRole("img", { name: /^Users online/ });
    const readout = page.locator("[data-key=chart-users] .readout");
    await chart.scrollIntoViewIfNeeded();
    // A live update replaces the chart, and the next move of the pointer shows its values.
    for (let tries = 0; !/^\d+ \w+ \d\d:\d\d: +\d+ users/.test(await readout.textContent()); tries += 1) {
      assert.ok(tries < 150, await readout.textContent());
      const box = await chart.boundingBox();
      await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2 + (tries % 2));
      await page.waitForTimeout(100);
    }
    // An interval before the agent's start.
    for (let minute = 0; !(await readout.textContent()).includes("unknown"); minute += 1) {
      assert.ok(minute < 30, await readout.textContent());
      await chart.press("ArrowLeft");
    }
    await page.mouse.move(0, 0);
    await readout.filter({ hasText: /^$/ }).waitFor({ state: "attached" });
    await page.getByText("Values as a table").click();
    await fits(page, name);
    await screenshot(page, name);
    await isAccessible(page, name);
    assert.deepEqual(messages, [], name);
    await context.close();
  }
}

async function isNoWiderThanItsRegion(page, name) {
  const [needed, there] = await page.locator(".scroll:has(.folded)").first().evaluate((box) => [box.scrollWidth, box.clientWidth]);
  assert.ok(needed <= there, `${name}: ${needed} px of ${there}`);
}

// Rows fold to two lines on a phone, and nothing scrolls sideways.
async function pagesAreShort(browser) {
  const heights = async (address, width, rows) => {
    const { page, context } = await open(browser, address, { viewport: { width, height: 800 } });
    await page.locator(rows).first().waitFor();
    await fits(page, `${address} at ${width}`);
    const seen = await page.evaluate(
      (rows) => [document.documentElement.scrollHeight, [...document.querySelectorAll(rows)].map((row) => row.getBoundingClientRect().height)],
      rows,
    );
    await screenshot(page, `short-${width}${address.replace(/\W+/g, "-")}`);
    return { page, context, height: seen[0], rows: seen[1] };
  };
  const phone = await heights("/sites/full", 360, "#sessions tbody tr");
  console.log(`${phone.rows.length} sessions: ${phone.height} px, rows of at most ${Math.max(...phone.rows)} px`);
  assert.equal(phone.rows.length, 40);
  assert.ok(Math.max(...phone.rows) <= 64, `${phone.rows}`);
  assert.ok(phone.height <= 3200, `${phone.height} px`);
  // A tap opens a row and shows the rest.
  const first = phone.page.locator("#sessions tbody tr").first();
  const disconnect = first.getByRole("link", { name: /^Disconnect/ });
  assert.ok(!(await disconnect.isVisible()));
  await first.click({ position: { x: 30, y: 20 } });
  await disconnect.waitFor();
  assert.ok(await first.locator("[data-label=Address]").isVisible());
  await phone.context.close();

  for (const [address, detail] of [["/search?q=10.", "MAC address"], ["/alerts", "Since"], ["/sites/awka/users", "Total"], ["/api", "Parameters"]]) {
    const { page, context, rows } = await heights(address, 360, ".folded tbody tr");
    assert.ok(Math.max(...rows) <= 64, `${address}: rows of ${rows} px`);
    await isNoWiderThanItsRegion(page, `${address} at 360`);
    const filled = page.locator(`[data-label="${detail}"]:not(:empty)`);
    const first = page.locator(".folded tbody tr").filter({ has: filled }).first();
    const cell = first.locator(filled);
    assert.ok(!(await cell.isVisible()), address);
    await first.click({ position: { x: 150, y: 20 } });
    await cell.waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
    await isNoWiderThanItsRegion(page, `${address} at 1280`);
    await context.close();
  }

  for (const width of [1280, 1920, 2560]) {
    const { page, context } = await heights("/sites/full", width, "#sessions tbody tr");
    await isNoWiderThanItsRegion(page, `sessions at ${width}`);
    const [chart, facts] = await Promise.all([page.locator(".now .chart").first(), page.locator(".now .panel")].map((part) => part.boundingBox()));
    assert.ok(facts.x >= chart.x + chart.width, "the figures are next to the chart");
    await context.close();
  }
  const many = await have("demo", "30");
  const page = await browser.newPage({ viewport: { width: 360, height: 800 } });
  await page.goto(many);
  await page.waitForFunction(() => document.querySelectorAll(".sites tbody tr .spark").length === 30);
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  console.log(`30 sites: ${height} px`);
  assert.ok(height <= 2400, `${height} px`);
  await fits(page, "30 sites");
  await page.close();
}

// A name with markup, and a long one.
async function namesAreEscaped(browser) {
  const names = await have("nasty");
  for (const width of [360, 1200]) {
    const { page, messages, context } = await open(browser, "/sites/awka", { viewport: { width, height: 800 } });
    page.on("dialog", () => messages.push("an alert"));
    await fits(page, `nasty at ${width}`);
    const shown = await page.locator("td[data-label=User]").allTextContents();
    for (const name of names) {
      const start = [...name].slice(0, 200).join("");
      assert.ok(shown.some((text) => text.startsWith(start)), `${start.slice(0, 60)} is not among ${shown}`);
    }
    const region = page.getByRole("region", { name: "Sessions" });
    const [wide, room] = await region.evaluate((box) => [box.scrollWidth, box.clientWidth]);
    assert.ok(wide < 1.5 * room, `the table takes ${wide} px of ${room} at ${width}`);
    await screenshot(page, `nasty-${width}`);
    if (width === 360) {
      const rows = page.locator("#sessions tbody tr").filter({ hasText: "<script>" });
      await rows.last().click({ position: { x: 30, y: 20 } });
    }
    const last = page.getByRole("link", { name: "Disconnect <script>" }).last();
    await last.click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await fits(page, `nasty in a dialog at ${width}`);
    const [needed, there] = await dialog.evaluate((box) => [box.scrollWidth, box.clientWidth]);
    assert.ok(needed <= there, `a dialog of ${width} px needs ${needed}, has ${there}`);
    assert.ok(await dialog.getByRole("button", { name: "Disconnect" }).isVisible());
    await screenshot(page, `nasty-dialog-${width}`);
    assert.deepEqual(messages, []);
    await context.close();
  }
}

run(everyPageIsAccessible, dialogsAreAccessible, chartsShowValuesUnderThePointer, pagesAreShort, namesAreEscaped);
