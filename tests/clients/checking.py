"""Shared code of the Python clients: arguments and checks."""

import sys

# The numbers of the simulated router in foreign_clients.rs.
ACTIVE = 23
USERS = 151  # including the default-trial row
USER, PASSWORD = "api-user", "password"


def arguments():
    """Host, port, version text, and the version's first two numbers."""
    host, port, version = sys.argv[1:4]
    numbers = tuple(int(part) for part in version.split(" ")[0].split(".")[:2])
    return host, int(port), version, numbers


def check(what, got, expected):
    """Exits at the first mismatch."""
    if got != expected:
        sys.exit(f"{what}: got {got!r}, expected {expected!r}")
    print(f"{what}: {got!r}")


def fails(what, error_types, act, message):
    """Checks that `act` raises an error whose text contains `message`."""
    try:
        act()
    except error_types as error:
        if message not in str(error):
            sys.exit(f"{what}: {error!r} does not contain {message!r}")
        print(f"{what}: {error}")
    else:
        sys.exit(f"{what}: expected an error with {message!r}, got none")
