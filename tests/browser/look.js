// look.js URL OUT TOKEN: whether every page can be seen and used by everyone: narrow and wide, light and dark.
"use strict";

const assert = require("node:assert/strict");
const { canBeTouched, fits, have, keep, keepsRules, open, run, unexpected } = require("./browser.js");

// A page, how to get there, and its status.
const PAGES = [
  ["overview", "/"],
  ["site", "/sites/awka"],
  ["sorted", "/sites/awka?sort=upload&order=desc&q=1#sessions"],
  ["users", "/sites/awka/users"],
  ["kick", "/sites/awka/kick?id=*A053202"],
  ["gone", "/sites/awka/kick?id=*1&user=nobody&mac="],
  ["said", "/sites/awka?notice=back"],
  ["away", "/sites/gone"],
  ["users-away", "/sites/gone/users", 502],
  ["missing", "/sites/nowhere", 404],
  ["tested", "/sites/awka", 200, "Test the connection"],
  ["tested-away", "/sites/gone", 200, "Test the connection"],
];

async function everyPageLooksWell(browser) {
  await have("wait", "gone", "closed");
  for (const [width, colorScheme] of [[1200, "light"], [360, "dark"]]) {
    for (const [title, address, status, button] of PAGES) {
      const name = `${title}-${width}-${colorScheme}`;
      const viewport = { width, height: 800 };
      const options = { viewport, colorScheme, bypassCSP: true, status };
      const { page, said, context } = await open(browser, address, options);
      if (button) {
        await page.getByRole("button", { name: button }).click();
        await page.getByRole("region", { name: "Steps" }).waitFor();
      }
      await fits(page, name);
      await canBeTouched(page, name);
      await keep(page, name);
      await keepsRules(page, name);
      assert.deepEqual(status ? unexpected(said) : said, [], name);
      await context.close();
    }
  }
}

async function dialogsLookWell(browser) {
  for (const [width, colorScheme] of [[1200, "dark"], [360, "light"]]) {
    const name = `dialog-${width}-${colorScheme}`;
    const { page, said, context } = await open(browser, "/sites/awka", {
      viewport: { width, height: 800 },
      colorScheme,
      bypassCSP: true,
      reducedMotion: "reduce",
    });
    await page.locator("a.disconnect").first().click();
    await page.getByRole("dialog", { name: "Disconnect this session?" }).waitFor();
    await fits(page, name);
    await keep(page, name);
    await keepsRules(page, name);
    assert.deepEqual(said, [], name);
    await context.close();
  }
}

// A name that is more than a name, and one that is too long.
async function namesAreText(browser) {
  const names = await have("nasty");
  for (const width of [360, 1200]) {
    const { page, said, context } = await open(browser, "/sites/awka", { viewport: { width, height: 800 } });
    page.on("dialog", () => said.push("an alert"));
    await fits(page, `nasty at ${width}`);
    const shown = await page.locator("td[data-label=User]").allTextContents();
    for (const name of names) {
      const start = [...name].slice(0, 200).join("");
      assert.ok(shown.some((text) => text.startsWith(start)), `${start.slice(0, 60)} is not among ${shown}`);
    }
    const region = page.getByRole("region", { name: "Hotspot" });
    const [wide, room] = await region.evaluate((box) => [box.scrollWidth, box.clientWidth]);
    assert.ok(wide < 1.5 * room, `the table takes ${wide} px of ${room} at ${width}`);
    await keep(page, `nasty-${width}`);
    const last = page.getByRole("link", { name: "Disconnect <script>" }).last();
    await last.click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await fits(page, `nasty in a dialog at ${width}`);
    const [needed, there] = await dialog.evaluate((box) => [box.scrollWidth, box.clientWidth]);
    assert.ok(needed <= there, `a dialog of ${width} px needs ${needed}, has ${there}`);
    assert.ok(await dialog.getByRole("button", { name: "Disconnect" }).isVisible());
    await keep(page, `nasty-dialog-${width}`);
    assert.deepEqual(said, []);
    await context.close();
  }
}

run(everyPageLooksWell, dialogsLookWell, namesAreText);
