//! The Debian package in a container: install, run, upgrade and purge.
//!
//! ```sh
//! cross/build.sh x86_64-unknown-linux-musl && cross/package.sh x86_64-unknown-linux-musl
//! cargo test --test external -- --ignored package --nocapture
//! ```
//!
//! systemd-nspawn runs the container without a network. debootstrap creates its root once at `target/package`; tests
//! never write to it. `tests/package/inside.sh` has the steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Timeout of the container in seconds; it takes about 15.
const TIMEOUT: &str = "150";

/// Upper bound of the exposure in tenths, as `systemd-analyze security` counts it. It is 11, most of it for the network.
const EXPOSURE: &str = "12";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The first package mirror of this machine.
fn mirror() -> String {
    let sources = "/etc/apt/sources.list.d/debian.sources";
    let text = fs::read_to_string(sources).unwrap_or_else(|error| panic!("{sources}: {error}"));
    let uris = text.lines().find_map(|line| line.strip_prefix("URIs:")).unwrap_or_else(|| panic!("{text}"));
    uris.split_whitespace().next().unwrap_or_else(|| panic!("{text}")).into()
}

/// The root of a minimal Debian with systemd.
fn root() -> PathBuf {
    let root = here("target/package/bookworm");
    if !root.exists() {
        // Under another name until it is complete.
        let new = root.with_extension("new");
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&new).unwrap();
        let made = Command::new("debootstrap")
            .args(["--variant=minbase", "--include=systemd,systemd-sysv", "bookworm"])
            .arg(&new)
            .arg(mirror())
            .stdout(Stdio::null())
            .status();
        assert!(made.as_ref().is_ok_and(ExitStatus::success), "debootstrap: {made:?}");
        fs::rename(&new, &root).unwrap();
    }
    root
}

#[test]
#[ignore = "needs root, debootstrap, systemd-nspawn and the package"]
fn debian_package_installs_runs_upgrades_and_purges() {
    let packages = here("target/cross/debian");
    let package = packages.join(concat!("phsweb-agent_", env!("CARGO_PKG_VERSION"), "_amd64.deb"));
    assert!(package.exists(), "{} is missing; run cross/build.sh and cross/package.sh", package.display());
    let bind = |from: &Path, to: &str| format!("--bind-ro={}:{to}", from.display());
    let done = Command::new("timeout")
        .args(["--kill-after=10", TIMEOUT, "systemd-nspawn", "--quiet", "--boot", "--directory"])
        .arg(root())
        // Writes go to memory.
        .arg("--volatile=overlay")
        .args(["--private-network", "--register=no", "--keep-unit"])
        .arg(bind(&packages, "/packages"))
        .arg(bind(&here("tests/package"), "/inside"))
        .arg(bind(&here("tests/package/inside.service"), "/etc/systemd/system/inside.service"))
        // The script writes to the console, which nothing else may use.
        .args(["systemd.unit=inside.service", "systemd.mask=console-getty.service"])
        .arg("systemd.show_status=no")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("timeout: {error}"));
    let output = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{}\n{output}{}", done.status, String::from_utf8_lossy(&done.stderr));
    let steps = output.lines().filter(|line| line.starts_with("== "));
    steps.for_each(|step| println!("{step}"));
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_unit_has_low_exposure() {
    let analyzed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE])
        .arg(here("cross/phsweb-agent.service"))
        .output()
        .unwrap_or_else(|error| panic!("systemd-analyze: {error}"));
    let output = String::from_utf8_lossy(&analyzed.stdout);
    assert!(analyzed.status.success(), "{output}{}", String::from_utf8_lossy(&analyzed.stderr));
    println!("{}", output.lines().last().unwrap_or_default());
}

#[test]
fn package_refuses_a_machine_that_can_not_run_it() {
    let folder = tempfile::tempdir().unwrap();
    for (machine, package, is_accepted) in [
        ("armv6l", "armhf", false),
        ("armv6l", "armel", true),
        ("armv7l", "armhf", true),
        ("armv8l", "armhf", true),
        ("aarch64", "armhf", true),
        ("aarch64", "arm64", true),
        ("x86_64", "amd64", true),
    ] {
        let uname = folder.path().join("uname");
        fs::write(&uname, format!("#!/bin/sh\necho {machine}\n")).unwrap();
        fs::set_permissions(&uname, fs::Permissions::from_mode(0o755)).unwrap();
        let done = Command::new("/bin/sh")
            .arg(here("cross/debian/preinst"))
            .arg("install")
            .env("PATH", folder.path())
            .env("DPKG_MAINTSCRIPT_ARCH", package)
            .output()
            .unwrap();
        assert_eq!(done.status.success(), is_accepted, "{package} on {machine}: {done:?}");
        assert_eq!(String::from_utf8_lossy(&done.stderr).contains("for armel"), !is_accepted);
    }
}
