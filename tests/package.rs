//! The systemd unit and the Debian package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How much the unit may expose, in tenths as `systemd-analyze security` counts: 11, most of it the network, and
/// nothing more of weight.
const EXPOSURE: &str = "12";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_unit_exposes_little() {
    let analyzed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE])
        .arg(here("cross/phsweb-agent.service"))
        .output()
        .unwrap_or_else(|error| panic!("systemd-analyze: {error}"));
    let told = String::from_utf8_lossy(&analyzed.stdout);
    assert!(analyzed.status.success(), "{told}{}", String::from_utf8_lossy(&analyzed.stderr));
    println!("{}", told.lines().last().unwrap_or_default());
}

#[test]
fn a_machine_that_could_not_run_it_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    for (machine, package, is_taken) in [
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
        assert_eq!(done.status.success(), is_taken, "{package} on {machine}: {done:?}");
        assert_eq!(String::from_utf8_lossy(&done.stderr).contains("for armel"), !is_taken);
    }
}
