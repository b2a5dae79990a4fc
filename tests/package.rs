//! The systemd unit.

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
