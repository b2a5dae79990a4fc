#!/usr/bin/env python3
"""cross/rare.py BINARY LOG: the functions that a running agent does not use, for cross/rare.txt.

    CARGO_PROFILE_RELEASE_STRIP=none cross/build.sh x86_64-unknown-linux-musl
    qemu-x86_64-static -d in_asm -D LOG target/cross/x86_64-unknown-linux-musl/release/phsweb-agent run

Meanwhile, request what a usual client requests: pages, JSON, metrics, and events. The output has the shortest paths of
which no function ran. A path contains all functions whose names mention it: also a generic function for a type there.
"""
import bisect
import re
import sys

sys.dont_write_bytecode = True
from weigh import symbols

# Their paths occur in most functions.
STANDARD = {"core", "alloc", "std"}

# Paths with fewer bytes of code are not worth a line.
MIN_BYTES = 1000

# The names of modules and functions. Deeper ones are those of methods.
MAX_DEPTH = 4


def paths(name):
    """The paths in a symbol in v0 mangling, with all that contain them: each is a list of names."""
    for crate in re.finditer(r"(?<!\d)Cs[0-9A-Za-z]*_(?=\d)", name):
        at, path = crate.end(), []
        while len(path) < MAX_DEPTH and (length := re.match(r"\d+", name[at:])):
            at += len(length[0])
            path.append(name[at : at + int(length[0])])
            at += int(length[0])
            # A name that begins with a digit or an underscore follows a separator, as in no function of interest.
            if path[0] in STANDARD or not re.fullmatch(r"[A-Za-z]\w*", path[-1]):
                break
            yield tuple(path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    functions = sorted((start, size, name) for name, start, size in symbols(sys.argv[1]) if name.startswith("_R"))
    starts = [start for start, _, _ in functions]
    used = set()
    for address in re.finditer(r"(?m)^0x([0-9a-f]+):", open(sys.argv[2]).read()):
        address = int(address[1], 16)
        at = bisect.bisect(starts, address) - 1
        # Equal functions have one address.
        while at >= 0 and starts[at] <= address < starts[at] + functions[at][1]:
            used.add(functions[at][2])
            at -= 1
    size, used_paths = {}, {path for name in used for path in paths(name)}
    for _, bytes, name in functions:
        for path in set(paths(name)) - used_paths:
            size[path] = size.get(path, 0) + bytes
    rare = {path for path, bytes in size.items() if bytes >= MIN_BYTES}
    for path in sorted(rare):
        if path[:-1] not in rare:
            print("::".join(path))


main()
