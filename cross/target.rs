//! Tells the program what it is built for, which `phsweb-agent --version` prints, and compresses the files that it
//! serves as they are.

use std::env::var;
use std::error::Error;
use std::fs;
use std::path::Path;

/// The files that the binary contains compressed, see `src/http/embedded.rs`.
const EMBEDDED: [&str; 4] = [
    "src/http/api/openapi.json",
    "src/http/page/icon.svg",
    "src/http/page/page.js",
    "src/http/page/style.css",
];

/// The strongest level of `miniz_oxide`.
const LEVEL: u8 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=cross/target.rs");
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

/// What the CPU must have. Of 32-bit ARM the compiler may list what it need not: `d32` where the
/// target has 16 registers. There the target's name says it all, but for NEON.
fn required() -> Vec<String> {
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_arm = var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    let counts = |feature: &&str| if is_arm { *feature == "neon" } else { *feature != "crt-static" };
    features.split(',').filter(counts).map(String::from).collect()
}
