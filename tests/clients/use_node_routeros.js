// node-routeros against the simulated router: use_node_routeros.js HOST PORT VERSION
// Only before 7.18: version 1.6.9 does not know `!empty`.
"use strict";
const assert = require("node:assert");
const { RouterOSAPI } = require("node-routeros");

const [host, port, version] = process.argv.slice(2);
// The numbers of the simulated router in foreign_clients.rs, including the default-trial row.
const ACTIVE = 23;
const USERS = 151;

function logIn(password) {
    return new RouterOSAPI({ host, port: Number(port), user: "api-user", password, timeout: 10 }).connect();
}

function check(what, got, expected) {
    assert.deepStrictEqual(got, expected, what);
    console.log(`${what}: ${JSON.stringify(got)}`);
}

/** Checks that a promise is rejected with a message. */
async function fails(what, promise, message) {
    const error = await promise.then(
        (value) => assert.fail(`${what}: ${JSON.stringify(value)}, expected ${message}`),
        (error) => error,
    );
    assert.ok(String(error.message).includes(message), `${what}: ${error.message}, expected ${message}`);
    console.log(`${what}: ${error.message}`);
}

async function main() {
    // The library has one message for both traps.
    await fails("wrong password", logIn("wrong"), "Username or password is invalid");
    const api = await logIn("password");

    const active = await api.write("/ip/hotspot/active/print");
    check("active rows", active.length, ACTIVE);
    check("their uploads are numbers", active.every((row) => /^\d+$/.test(row["bytes-in"])), true);
    const users = await api.write("/ip/hotspot/user/print");
    check("user rows", users.length, USERS);
    const trial = users.filter((row) => row.default === "true").map((row) => row.name);
    check("default-trial", trial, ["default-trial"]);
    const [resource] = await api.write("/system/resource/print");
    check("resource", [resource.version, resource.platform], [version, "MikroTik"]);
    check("count-only", await api.write("/ip/hotspot/user/print", ["=count-only="]), [{ ret: String(USERS) }]);
    const name = users[5].name;
    check("one user", await api.write("/ip/hotspot/user/print", ["=.proplist=name", `?name=${name}`]), [{ name }]);
    check("none", await api.write("/ip/hotspot/user/print", ["?name=nobody"]), []);
    // The library reports the first of several traps.
    const missing = version.startsWith("6.") ? "no such command prefix" : "no such command or directory (shop)";
    await fails("unknown menu", api.write("/ip/shop/print"), missing);

    const [print, identity] = await Promise.all([
        api.write("/ip/hotspot/active/print"),
        api.write("/system/identity/print"),
    ]);
    check("concurrent commands", [print.length, identity], [ACTIVE, [{ name: "MikroTik" }]]);

    const kicked = active[0][".id"];
    const heard = new Promise((resolve, reject) => {
        const stream = api.stream(["/ip/hotspot/active/listen", "=.proplist=.id"], (error, packet) => {
            if (error) return reject(error);
            // The callback gets no packet after a while without changes.
            if (packet && packet[".id"]) stream.stop().then(() => resolve(packet), reject);
        });
    });
    // Commands start in the order they were sent, so the listen has started.
    await api.write("/ip/hotspot/active/remove", [`=.id=${kicked}`]);
    check("listen reports the kick", await heard, { ".id": kicked, ".dead": "true" });
    const left = (await api.write("/ip/hotspot/active/print")).map((row) => row[".id"]);
    check("kicked", [left.includes(kicked), left.length], [false, ACTIVE - 1]);
    await fails("kicked again", api.write("/ip/hotspot/active/remove", [`=.id=${kicked}`]), "no such item (4)");
    await api.close();
}

function fail(error) {
    console.error(error);
    process.exit(1);
}

// A missing reply or change must not block forever.
setTimeout(fail, 20_000, "timed out after 20 s").unref();
main().catch(fail);
