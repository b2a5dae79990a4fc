//! The page in a real browser: wide and narrow, light and dark, with scripts and without.
//!
//! ```sh
//! npm ci --prefix tests/browser
//! NODE_PATH=$PWD/tests/browser/node_modules cargo test --test page -- --ignored --nocapture
//! ```
//!
//! Screenshots are left in `target/tmp/page`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "the-admins-token";

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn people_can_use_the_page() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_phsweb-agent"))
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env("PHSWEB_ADMIN_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .spawn()
        .map(Demo)
        .unwrap();
    let said = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = said.filter_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_string()));
    let url = format!("http://{}", url.take(1).next().unwrap());

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&screenshots).unwrap();
    let looked = Command::new("node")
        .arg(root.join("tests/browser/look.js"))
        .arg(url)
        .arg(&screenshots)
        .arg(TOKEN)
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&looked.stdout));
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
}
