//! The build script: passes the target to the program, for `phsweb-agent --version`, and compresses the static files that
//! the agent serves.

use std::env::var;
use std::error::Error;
use std::fs;
use std::path::Path;

/// The files that the binary contains in compressed form, see `src/http/embedded.rs`.
const EMBEDDED: [&str; 5] = [
    "src/http/api/openapi.json",
    "src/http/page/icon.png",
    "src/http/page/icon.svg",
    "src/http/page/page.js",
    "src/http/page/style.css",
];

/// The highest compression level of `miniz_oxide`.
const LEVEL: u8 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=TARGET={}", var("TARGET").unwrap_or_default());
    println!("cargo::rustc-env=TARGET_CPU={}", required().join(" "));
    let out = var("OUT_DIR")?;
    for file in EMBEDDED.map(Path::new) {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let deflated = miniz_oxide::deflate::compress_to_vec(&fs::read(file)?, LEVEL);
        fs::write(Path::new(&out).join(format!("{name}.deflate")), deflated)?;
    }
    Ok(())
}

/// The CPU features that the binary needs. For 32-bit ARM the compiler also lists features that it does not use, such as
/// `d32` for a target with 16 registers. The name of such a target implies all features except NEON.
fn required() -> Vec<String> {
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_arm = var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    let counts = |feature: &&str| if is_arm { *feature == "neon" } else { *feature != "crt-static" };
    features.split(',').filter(counts).map(String::from).collect()
}
