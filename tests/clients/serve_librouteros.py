"""A small RouterOS API server that uses librouteros to encode every length and word.

    serve_librouteros.py

prints its port on 127.0.0.1 and serves until its input ends. `api-user` with the
password `password` logs in with the plain login. These menus can be printed, with `.proplist` and
`count-only`; their rows are below: /ip/hotspot/active, /ip/hotspot/user, /system/resource,
/system/health, /system/identity. Only queries of the form `name=value` are evaluated. /ip/hotspot/active/listen sends nothing until it is cancelled.

Text is windows-1252 on the wire: `é` is the one byte E9, which is not UTF-8. The tag is the
second word of every other sentence, and the last of the others.
"""

import socket
import sys
import threading
from itertools import count

from librouteros.connections import SocketTransport
from librouteros.exceptions import LibRouterosError
from librouteros.protocol import ApiProtocol

USER, PASSWORD = "api-user", "password"

# Longer than 0x4000 bytes, so its length has three bytes.
LONG = "a=b;" * 5000

ROWS = {
    "/ip/hotspot/active": [
        {
            ".id": "*A053202",
            "server": "hotspot1",
            "user": "ngozi.okafor",
            "address": "10.5.50.2",
            "mac-address": "8C:F5:A3:00:00:01",
            "login-by": "http-chap",
            "uptime": "1w2d3h4m5s",
            "idle-time": "0s",
            "bytes-in": "1000",
            "bytes-out": "18446744073709551615",
            "packets-in": "10",
            "packets-out": "20",
            "radius": "false",
            "comment": "",
        },
        {
            ".id": "*A053203",
            "server": "hotspot1",
            "user": "aïssatou",
            "address": "10.5.50.3",
            "mac-address": "8C:F5:A3:00:00:02",
            "login-by": "cookie",
            "uptime": "14:40:26",
            "session-time-left": "30m",
            "bytes-in": "2000",
            "bytes-out": "3000",
            "radius": "false",
            "comment": "café, paid=2000 €",
        },
        {
            ".id": "*A053204",
            "server": "hotspot2",
            "user": "kofi",
            "address": "10.5.50.4",
            "mac-address": "8C:F5:A3:00:00:03",
            "login-by": "mac-cookie",
            "uptime": "59s",
            "bytes-in": "0",
            "bytes-out": "0",
            "radius": "false",
            "comment": LONG,
        },
    ],
    "/ip/hotspot/user": [
        {".id": "*0", "name": "default-trial", "profile": "default", "default": "true", "uptime": "0s"},
        {".id": "*1", "server": "all", "name": "ngozi.okafor", "password": "secret-1", "uptime": "3d"},
        {".id": "*2", "server": "all", "name": "aïssatou", "password": "secret-2", "uptime": "0s"},
        {".id": "*3", "name": "kofi", "password": "secret-3", "disabled": "true", "comment": ""},
    ],
    "/system/resource": [
        {
            "uptime": "15w3d3h42m53s",
            "version": "7.20.7 (long-term)",
            "free-memory": "45678912",
            "total-memory": "134217728",
            "cpu-count": "4",
            "cpu-load": "12",
            "architecture-name": "arm",
            "board-name": "hAP ac²",
            "platform": "MikroTik",
        }
    ],
    "/system/health": [
        {".id": "*D", "name": "voltage", "value": "24.1", "type": "V"},
        {".id": "*E", "name": "temperature", "value": "44", "type": "C"},
        {".id": "*F", "name": "psu1-state", "value": "ok", "type": ""},
    ],
    "/system/identity": [{"name": "Lomé"}],
}


class Session:
    def __init__(self, sock):
        self.protocol = ApiProtocol(SocketTransport(sock), encoding="windows-1252")
        self.tag_second = (number % 2 == 0 for number in count())
        self.listening = []

    def send(self, kind, words, tag):
        tag = [] if tag is None else [f".tag={tag}"]
        words = [*tag, *words] if next(self.tag_second) else [*words, *tag]
        self.protocol.writeSentence(kind, *words)

    def trap(self, message, tag):
        self.send("!trap", [f"=message={message}"], tag)
        self.send("!done", [], tag)

    def serve(self):
        logged_in = False
        while True:
            command, words = self.protocol.readSentence()
            tag = next((word[5:] for word in words if word.startswith(".tag=")), None)
            arguments = dict(word[1:].split("=", 1) if "=" in word[1:] else (word[1:], "") for word in words if word[0] == "=")
            if command == "/login":
                logged_in = (arguments.get("name"), arguments.get("password")) == (USER, PASSWORD)
                if logged_in:
                    self.send("!done", [], tag)
                else:
                    self.trap("invalid user name or password (6)", tag)
            elif not logged_in or command == "/quit":
                self.protocol.writeSentence("!fatal", "session terminated on request" if logged_in else "not logged in")
                return
            elif command == "/cancel":
                self.cancel(arguments.get("tag"), tag)
            elif command == "/ip/hotspot/active/listen":
                self.listening.append(tag)
            else:
                queries = [word[1:] for word in words if word[0] == "?"]
                self.print(command, arguments, queries, tag)

    def cancel(self, cancelled, tag):
        ended = [listening for listening in self.listening if cancelled in (None, listening)]
        self.listening = [listening for listening in self.listening if listening not in ended]
        for listening in ended:
            self.send("!trap", ["=category=2", "=message=interrupted"], listening)
        self.send("!done", [], tag)
        for listening in ended:
            self.send("!done", [], listening)

    def print(self, command, arguments, queries, tag):
        menu, _, verb = command.rpartition("/")
        if verb != "print" or menu not in ROWS:
            self.trap("no such command prefix", tag)
            return
        # The client sends only queries of the form name=value.
        rows = [row for row in ROWS[menu] if all(query in map("=".join, row.items()) for query in queries)]
        if "count-only" in arguments:
            self.send("!done", [f"=ret={len(rows)}"], tag)
            return
        shown = arguments.get(".proplist")
        for row in rows:
            keys = row if shown is None else [key for key in row if key in shown.split(",")]
            self.send("!re", [f"={key}={row[key]}" for key in keys], tag)
        self.send("!done", [], tag)


def serve(sock):
    with sock:
        try:
            Session(sock).serve()
        except (LibRouterosError, OSError):
            pass  # The client has disconnected.


def accept(listener):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()
