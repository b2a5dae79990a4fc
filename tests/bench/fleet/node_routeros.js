// Reads all routers at once with node-routeros: node_routeros.js HOST:PORT…
// A line on stdin is a refresh; the number of sessions is printed when the last router has replied.
"use strict";
const readline = require("node:readline");
const { RouterOSAPI } = require("node-routeros");

const COMMANDS = ["/ip/hotspot/active/print", "/ip/hotspot/user/print", "/system/resource/print", "/system/health/print"];

function logIn(address) {
    const [host, port] = address.split(":");
    return new RouterOSAPI({ host, port: Number(port), user: "api-user", password: "password", timeout: 60 }).connect();
}

async function main() {
    const routers = await Promise.all(process.argv.slice(2).map(logIn));
    console.log("ready");
    for await (const _ of readline.createInterface({ input: process.stdin })) {
        const replies = await Promise.all(
            routers.map((router) => Promise.all(COMMANDS.map((command) => router.write(command)))),
        );
        console.log(replies.reduce((sum, [sessions]) => sum + sessions.length, 0));
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
