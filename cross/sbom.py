#!/usr/bin/env python3
"""cross/sbom.py [TARGET…]: writes a software bill of materials for each shipped binary, by default for all four.

    cargo fetch --locked                            # licences and versions are read from the sources of the crates
    cross/sbom.py                                   # target/cross/TARGET/release/phsweb-agent.cdx.json
    cross/sbom.py --print TARGET                    # on standard output instead

The format is CycloneDX 1.6. A bill lists everything that is linked into the binary of its target: the crates that
cross/licenses.py finds, and the parts that are not crates. The same Cargo.lock gives the same bytes.
"""
import json
import sys
import tomllib

# Don't write bytecode into the source folder.
sys.dont_write_bytecode = True

from licenses import PARTS, ROOT, TARGETS, graph  # noqa: E402


def checksums():
    """The SHA-256 of each crate's package, by its name and version."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def crate(package, checksum):
    """A component of a crate. Licences in the old form `MIT/Apache-2.0` become expressions of SPDX."""
    component = {"type": "library", "bom-ref": reference(package), "name": package["name"], "version": package["version"]}
    if checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    component["purl"] = reference(package)
    return component


def bill(target):
    found = graph(target)
    (own, _), *others = found.values()
    sums = checksums()
    application = crate(own, None) | {"type": "application", "description": f"Static binary for {target}"}
    del application["purl"]
    others = sorted((package for package, _ in others), key=reference)
    crates = [crate(package, sums[package["name"], package["version"]]) for package in others]
    parts = [
        {"type": "library", "bom-ref": f"part-{number}", "name": part, "licenses": [{"license": {"name": license}}]}
        for number, (license, _, part) in enumerate(PARTS, 1)
    ]
    needed = {reference(package): {reference(found[other][0]) for other in others} for package, others in found.values()}
    needed[application["bom-ref"]] |= {part["bom-ref"] for part in parts}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": application},
        "components": crates + parts,
        "dependencies": [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(needed.items())],
    }


def main():
    is_printed = sys.argv[1:2] == ["--print"]
    targets = sys.argv[2 if is_printed else 1 :] or TARGETS
    if not set(targets) <= set(TARGETS):
        sys.exit(__doc__)
    for target in targets:
        text = json.dumps(bill(target), indent=1, ensure_ascii=False) + "\n"
        if is_printed:
            sys.stdout.write(text)
        else:
            path = ROOT / "target" / "cross" / target / "release" / "phsweb-agent.cdx.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


main()
