//! The accepted counts: their file, and the comparison with those of now.

use std::fs;
use std::process::{Command, ExitCode};

use super::Counts;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/counts.txt");

/// What each accepted count may grow by, in percent: dates and the seeds of hash tables move them a little.
const TOLERANCE: f64 = 3.0;

/// How to accept counts.
const ACCEPT: &str = "`.ci/recipe counts --accept`, and say in the commit why";

pub(crate) struct Accepted {
    /// The compiler and the architecture of the counts.
    environment: String,
    counts: Counts,
}

impl Accepted {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(FILE)
            .unwrap_or_else(|error| panic!("{FILE}: {error}; write it with {ACCEPT}"));
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let environment = lines.next().unwrap_or_default().to_string();
        let count = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_string(), count.parse().ok()?))
        };
        let counts = lines.map(|line| {
            count(line).unwrap_or_else(|| panic!("{FILE}: found {line:?}, expected a name and a count"))
        });
        Self { environment, counts: counts.collect() }
    }

    /// Prints all counts with their changes. Fails if one has grown, unless another compiler explains it.
    pub(crate) fn compare(&self, now: &Counts) -> ExitCode {
        let (mut grown, mut shrunk) = (0, 0);
        println!("{:24} {:>12} {:>12}", "", "accepted", "now");
        for (name, now) in now {
            let Some(accepted) = self.counts.get(name) else {
                println!("{name:24} {:>12} {now:>12}  is new", "");
                grown += 1;
                continue;
            };
            let change = 100.0 * (*now as f64 / *accepted as f64 - 1.0);
            println!("{name:24} {accepted:>12} {now:>12}  {change:+.1} %");
            grown += u32::from(change > TOLERANCE);
            shrunk += u32::from(change < -TOLERANCE);
        }
        let here = environment();
        if here != self.environment {
            println!("Not compared: the accepted counts are of {}, and this is {here}.", self.environment);
            return ExitCode::SUCCESS;
        }
        if grown > 0 {
            println!(
                "Counts that have grown by more than {TOLERANCE} %, or are new: {grown}. Find the cause, or accept them with {ACCEPT}."
            );
            return ExitCode::FAILURE;
        }
        if shrunk > 0 {
            println!(
                "Counts that have fallen by more than {TOLERANCE} %: {shrunk}. Accept them with {ACCEPT}, so that they stay low."
            );
        }
        ExitCode::SUCCESS
    }
}

/// Replaces the accepted counts.
pub(crate) fn write(counts: &Counts) {
    let mut text =
        format!("# The accepted counts of `.ci/recipe counts`, which explains them.\n{}\n", environment());
    for (name, count) in counts {
        text.extend([name.as_ref(), " ", &count.to_string(), "\n"]);
    }
    fs::write(FILE, &text).unwrap();
    print!("{text}");
}

/// The compiler and the architecture, which the counts depend on.
fn environment() -> String {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().expect("expected rustc");
    format!("{} for {}", String::from_utf8_lossy(&output.stdout).trim(), std::env::consts::ARCH)
}
