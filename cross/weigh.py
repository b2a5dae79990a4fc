#!/usr/bin/env python3
"""cross/weigh.py BINARY: the weight of the crates of docs/decisions/dependencies.md in an unstripped release binary.

    CARGO_PROFILE_RELEASE_STRIP=none cross/build.sh x86_64-unknown-linux-musl
    cross/weigh.py target/cross/x86_64-unknown-linux-musl/release/phsweb-agent
    cross/build.sh x86_64-unknown-linux-musl       # restores the shipped binary

prints that table with new values in its last column: code and named constants. A function counts for the last crate in
its name that is not Rust's standard library, so generic code counts for the crate that uses it. Crates without a row
count for the first row that depends on them.
"""
import json
import re
import struct
import subprocess
import sys

OWN = "phsweb_agent"
STANDARD = {"std", "core", "alloc", "hashbrown", "compiler_builtins", "panic_abort", "rustc_demangle", "__rustc"}


def symbols(path):
    """Name, address and size of each symbol of an ELF file."""
    with open(path, "rb") as file:
        data = file.read()
    wide = data[4] == 2
    section_of, symbol_of = ("<IIQQQQIIQQ", "<IBBHQQ") if wide else ("<10I", "<IIIBBH")
    start = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)[0]
    size, count = struct.unpack_from("<HH", data, 58 if wide else 46)
    sections = [struct.unpack_from(section_of, data, start + size * at) for at in range(count)]
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != 2:
            continue
        for at in range(offset, offset + length, struct.calcsize(symbol_of)):
            symbol = struct.unpack_from(symbol_of, data, at)
            name = sections[link][4] + symbol[0]
            yield data[name : data.index(b"\0", name)].decode(), *(symbol[4:] if wide else symbol[1:3])


def crate_of(name):
    """The crate that a symbol counts for."""
    if "ring_core" in name or name.startswith("ecp_nistz256"):
        return "ring"
    # The v0 mangling contains a crate as Cs…_LENGTHname.
    found = [name[m.end() : m.end() + int(m[1])] for m in re.finditer(r"Cs[0-9A-Za-z]+_(\d+)_?", name)]
    if OWN in found:
        return OWN
    return next((crate for crate in reversed(found) if crate not in STANDARD), "std")


def owners(rows):
    """The row that each crate counts for."""
    metadata = subprocess.run(["cargo", "metadata", "--locked", "--format-version=1"], stdout=subprocess.PIPE, check=True)
    metadata = json.loads(metadata.stdout)
    named = {package["id"]: package["name"] for package in metadata["packages"]}
    beneath = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    direct = [[id for id, name in named.items() if name in names] for names in rows]
    owner = {named[id]: row for row, ids in enumerate(direct) for id in ids}
    for row, ids in enumerate(direct):
        for id in ids:
            owner.setdefault(named[id], row)
            ids += [dep for dep in beneath[id] if dep not in ids and owner.get(named[dep], row) == row]
    # Some packages have another name as a library.
    libraries = [
        (target["name"], package["name"])
        for package in metadata["packages"]
        for target in package["targets"]
        if "lib" in target["crate_types"]
    ]
    return {library.replace("-", "_"): owner[name] for library, name in libraries if name in owner}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    named = [(name, size) for name, _, size in symbols(sys.argv[1])]
    if not named:
        sys.exit(f"{sys.argv[1]}: stripped, as it ships; build it with CARGO_PROFILE_RELEASE_STRIP=none")
    table = re.search(r"\| crate \|.*\n\|.*\n((?:\|.*\n)+)", open("docs/decisions/dependencies.md").read())[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    owner = owners([cell[0].split(", ") for cell in cells])
    weights = [0] * len(cells)
    rest = {OWN: 0, "std": 0}
    for name, size in named:
        crate = crate_of(name)
        if crate in owner:
            weights[owner[crate]] += size
        else:
            rest[crate] = rest.get(crate, 0) + size
    for (crates, purpose, _), weight in zip(cells, weights):
        print(f"| {crates} | {purpose} | {'under 1' if weight < 1024 else round(weight / 1024)} KiB |")
    print("\nAnd:", ", ".join(f"{crate} {round(size / 1024)} KiB" for crate, size in rest.items()))


if __name__ == "__main__":
    main()
