//! Tells the program what it is built for: `phsweb-agent --version` says so.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=cross/target.rs");
    println!("cargo::rustc-env=TARGET={}", var("TARGET").unwrap_or_default());
    println!("cargo::rustc-env=TARGET_CPU={}", required().join(" "));
}

/// What the CPU must have. Of 32-bit ARM the compiler may list what it need not: `d32` where the
/// target has 16 registers. There the target's name says it all, but for NEON.
fn required() -> Vec<String> {
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_arm = var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    let counts = |feature: &&str| if is_arm { *feature == "neon" } else { *feature != "crt-static" };
    features.split(',').filter(counts).map(String::from).collect()
}
