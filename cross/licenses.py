#!/usr/bin/env python3
"""cross/licenses.py [--check]: write cross/THIRD-PARTY-LICENSES.txt, the notices for all code in the binaries.

    cargo fetch --locked                            # the texts are read from the sources of the crates
    cross/licenses.py                               # after every change of Cargo.lock
    cross/licenses.py --check                       # writes nothing; fails if the file is out of date

A crate is in a binary if it is a normal dependency for one of the targets that ship. Procedural macros, build
scripts and dev-dependencies are not. The parts that are not crates, such as musl, are listed in `PARTS`.
"""
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "cross" / "THIRD-PARTY-LICENSES.txt"
TARGETS = [
    "aarch64-unknown-linux-musl",
    "armv5te-unknown-linux-musleabi",
    "armv7-unknown-linux-musleabihf",
    "x86_64-unknown-linux-musl",
]

# The licence to use where a crate offers several: the first of these. Apache-2.0 comes first because one copy
# of its text serves all crates, whereas each MIT text has a copyright line of its own.
PREFERRED = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "Unicode-3.0"]

# How the text of a licence is recognized in a crate.
PHRASES = {
    "BSD-3-Clause": "Redistribution and use in source and binary forms",
    "ISC": "Permission to use, copy, modify, and/or distribute this software",
    "MIT": "Permission is hereby granted, free of charge",
    "Unicode-3.0": "UNICODE LICENSE V3",
}

# Files that may hold a licence, and those that hold nothing but the text of a well-known one.
LICENSE_FILE = re.compile(r"licen[cs]e|copying|copyright|notice|third.party", re.IGNORECASE)
PLAIN = re.compile(r"(UN)?LICENSE(\.txt)?|LICENSE-(APACHE|CC0|ISC|MIT|MIT0|UNICODE)", re.IGNORECASE)

# Notices in a crate that are copied in addition to its licence, and their title.
ADDITION = "additional notice"
ADDITIONAL = re.compile(r"NOTICE.*|LICENSE-THIRD-PARTY", re.IGNORECASE)

# Files that add nothing: each repeats which licences the crate offers, or holds one that is not used.
REVIEWED = {
    "adler2": ["LICENSE-0BSD"],
    "linux-raw-sys": ["COPYRIGHT", "LICENSE-Apache-2.0_WITH_LLVM-exception"],
    "md5": ["LICENSE.md"],
    "memchr": ["COPYING"],
    "miniz_oxide": ["LICENSE", "LICENSE-APACHE.md", "LICENSE-MIT.md", "LICENSE-ZLIB.md"],
    "ring": [
        "LICENSE",
        "LICENSE-BoringSSL",
        "LICENSE-other-bits",
        "src/polyfill/once_cell/LICENSE-APACHE",
        "src/polyfill/once_cell/LICENSE-MIT",
        "third_party/fiat/LICENSE",
    ],
    "rustix": ["COPYRIGHT", "LICENSE-Apache-2.0_WITH_LLVM-exception"],
}

# Crates whose package has no licence file.
WITHOUT_FILE = ["yore"]

# Linked parts that are not crates of Cargo.lock: the licence, the place of its text (a crate or a file), and a name.
# The files of musl, zig and libunwind are from the package ziglang 0.15.2 (lib/libc/musl/COPYRIGHT, LICENSE and
# lib/libunwind/LICENSE.TXT), the other from the crates compiler_builtins 0.1.160 and libm 0.2.16. They are without
# the text of Apache-2.0. musl's has the notice of src/math in addition.
PARTS = [
    ("Apache-2.0", "LICENSE-APACHE", "ring: code of BoringSSL, OpenSSL, fiat-crypto and once_cell"),
    (
        "Apache-2.0",
        "LICENSE-APACHE",
        "Rust's standard library (https://github.com/rust-lang/rust): core, alloc, std, std_detect, unwind,"
        " panic_abort, and its copies of addr2line, adler2, cfg-if, gimli, hashbrown, libc, miniz_oxide, object"
        " and rustc-demangle",
    ),
    ("Unicode-3.0", "unicode-ident", "Rust's standard library: the Unicode tables of core"),
    ("MIT", "memchr", "Rust's standard library: its copy of memchr"),
    (
        "MIT, and Apache-2.0 (text above) with the LLVM exception",
        "cross/licenses/compiler_builtins.txt",
        "Rust's compiler_builtins and libm (https://github.com/rust-lang/compiler-builtins)",
    ),
    (
        "Apache-2.0 (text above) with the LLVM exception, MIT and NCSA",
        "cross/licenses/llvm-libunwind.txt",
        "LLVM's libunwind (https://llvm.org)",
    ),
    ("MIT and others, as follows", "cross/licenses/musl.txt", "musl (https://musl.libc.org)"),
    ("MIT", "cross/licenses/zig.txt", "zig's compiler_rt and additions to musl (https://ziglang.org)"),
]

HEADER = """\
Third-party software in phsweb-agent

phsweb-agent itself is licensed under MIT or Apache-2.0, at your option. Its binaries are static: they contain
the crates and libraries listed here, each under the licence whose text follows it. Where a crate offers several
licences, only the one that is used here is named.

This file is generated. To update it, run `cargo fetch --locked && cross/licenses.py`.
"""


def graph(target):
    """The packages that are linked for a target: by id, each as `cargo metadata` describes it, with the ids of its
    dependencies. The first is this crate itself."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, pending = {}, [metadata["resolve"]["root"]]
    while pending:
        identifier = pending.pop()
        if identifier not in found:
            needed = [
                dependency["pkg"]
                for dependency in nodes[identifier]["deps"]
                if any(kind["kind"] is None for kind in dependency["dep_kinds"])
                and not is_macro(packages[dependency["pkg"]])
            ]
            found[identifier] = (packages[identifier], needed)
            pending += needed
    return found


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def linked():
    """The packages in the binaries, in order of name and version."""
    found = {}
    for target in TARGETS:
        own, *others = graph(target).items()
        found |= {identifier: package for identifier, (package, _) in others}
    return sorted(found.values(), key=lambda package: (package["name"], package["version"]))


def licenses(package):
    """The licences that apply to a package, of those that it offers."""
    chosen = []
    for part in package["license"].split(" AND "):
        offered = re.split(r" OR |/", part.strip("()"))
        usable = [license for license in PREFERRED if license in offered]
        if not usable:
            sys.exit(f"{package['name']}: none of {PREFERRED} is offered by `{package['license']}`")
        chosen.append(usable[0])
    return chosen


def read(path):
    lines = path.read_text(encoding="utf-8").expandtabs().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def license_files(package):
    """The licence files of a package by their path in it, without those that were reviewed."""
    folder = Path(package["manifest_path"]).parent
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.suffix not in (".rs", ".py") and LICENSE_FILE.search(path.name):
            known = PLAIN.fullmatch(name) or ADDITIONAL.fullmatch(path.name)
            if not known and name not in REVIEWED.get(package["name"], []):
                sys.exit(f"{package['name']}: review {path}, then add it to REVIEWED or ADDITIONAL")
            files[name] = path
    return files


def text_of(license, package, files):
    if license == "Apache-2.0":
        return read(ROOT / "LICENSE-APACHE")
    if package["name"] in WITHOUT_FILE and license == "MIT":
        # The common text with the authors of the manifest.
        terms = read(ROOT / "LICENSE-MIT").split("\n\n", 2)[2]
        return "\n".join(f"Copyright (c) {author}" for author in package["authors"]) + "\n\n" + terms
    texts = [read(path) for path in files.values() if not ADDITIONAL.fullmatch(path.name)]
    texts = [text for text in texts if PHRASES[license] in " ".join(text.split())]
    if not texts:
        sys.exit(f"{package['name']}: no file with the text of {license}")
    text = texts[0]
    if package["name"] == "ring":
        text += "\n\nCopyright notices of single files under these terms:\n\n" + "\n".join(ring_notices(package))
    return text


def ring_notices(package):
    """The copyright notices of ring's files under ISC, without those that its licence has itself."""
    notices = set()
    for path in Path(package["manifest_path"]).parent.rglob("*"):
        if path.suffix in (".c", ".h", ".inl", ".S", ".rs", ".pl"):
            head = path.read_text(encoding="utf-8")[:6000]
            if "Permission to use, copy, modify" in head:
                notices.update(re.findall(r"(?im)^\W*((?:portions )?copyright (?:\(c\) )?\d.*?)[\s*/]*$", head))
    return sorted(notice for notice in notices if "Brian Smith" not in notice)


def notices():
    """The whole file."""
    # Crates and parts by licence and text.
    crates, parts = {}, {}
    for package in linked():
        files = license_files(package)
        texts = [(license, text_of(license, package, files)) for license in licenses(package)]
        texts += [(ADDITION, read(path)) for path in files.values() if ADDITIONAL.fullmatch(path.name)]
        for key in texts:
            crates.setdefault(key, []).append((package["name"], package["version"]))
    keys = sorted(crates, key=lambda key: (key[0] == ADDITION, key[0], crates[key]))
    for license, source, part in PARTS:
        if (ROOT / source).is_file():
            key = (license, read(ROOT / source))
        else:
            key = next(key for key in keys if key[0] == license and source in dict(crates[key]))
        parts.setdefault(key, []).append(part)

    output = [HEADER]
    for key in keys + [key for key in parts if key not in crates]:
        license, text = key
        output += ["=" * 80, f"Licence: {license}"]
        output += [f"Crate: {name} {version}" for name, version in crates.get(key, [])]
        for part in parts.get(key, []):
            output += textwrap.wrap(f"Part: {part}", 80, subsequent_indent="      ", break_on_hyphens=False)
        output += ["-" * 80, text, ""]
    return "\n".join(output)


def main():
    text = notices().encode()
    if sys.argv[1:] == ["--check"]:
        if not OUTPUT.exists() or OUTPUT.read_bytes() != text:
            sys.exit(f"{OUTPUT.relative_to(ROOT)} is out of date; run cross/licenses.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        OUTPUT.write_bytes(text)


if __name__ == "__main__":
    main()
