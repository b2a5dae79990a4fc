"""What the Python clients have in common: their arguments, and how they check."""

import sys

# What the simulated router of foreign_clients.rs has.
ACTIVE = 23
USERS = 151  # the default-trial row too
USER, PASSWORD = "api-user", "password"


def arguments():
    """Host, port, version text, and the version's first two numbers."""
    host, port, version = sys.argv[1:4]
    numbers = tuple(int(part) for part in version.split(" ")[0].split(".")[:2])
    return host, int(port), version, numbers


def check(what, got, expected):
    """Ends the program at the first mismatch."""
    if got != expected:
        sys.exit(f"{what}: got {got!r}, expected {expected!r}")
    print(f"{what}: {got!r}")


def fails(what, error_types, act, message):
    """The error of `act`, whose text must hold `message`."""
    try:
        act()
    except error_types as error:
        if message not in str(error):
            sys.exit(f"{what}: {error!r} does not say {message!r}")
        print(f"{what}: {error}")
    else:
        sys.exit(f"{what}: nothing went wrong, expected {message!r}")
