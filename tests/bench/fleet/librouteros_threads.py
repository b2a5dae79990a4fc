"""Reads all routers with librouteros, each in a thread of its own: librouteros_threads.py HOST:PORT…

A line on stdin is a refresh; the number of sessions is printed when the last router has replied.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from librouteros import connect

PATHS = [("ip", "hotspot", "active"), ("ip", "hotspot", "user"), ("system", "resource"), ("system", "health")]


def log_in(address):
    host, port = address.split(":")
    return connect(host, "api-user", "password", port=int(port), timeout=60)


def refresh(router):
    sessions, *_ = [list(router.path(*path)) for path in PATHS]
    return len(sessions)


addresses = sys.argv[1:]
with ThreadPoolExecutor(len(addresses)) as threads:
    routers = list(threads.map(log_in, addresses))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(sum(threads.map(refresh, routers)), flush=True)
