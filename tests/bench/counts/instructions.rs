//! Counts instructions: this program runs again under valgrind, which counts those within [`counted`].

use std::process::Command;
use std::{env, fs};

use super::Counts;
use super::workload;

/// The option of the run under valgrind.
pub(crate) const ONLY_WORK: &str = "--only-work";

/// Does work whose instructions count. Valgrind finds it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// The run under valgrind, which only does the work.
pub(crate) fn only_work() {
    workload::run_each(|_, work| counted(work));
    // Begins the next file, and so completes that of the last workload.
    counted(&mut || {});
}

/// Adds the instructions of each workload. Returns whether valgrind is installed.
pub(crate) fn count(counts: &mut Counts) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("counts");
    let this = "counts::instructions::counted";
    let run = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", "--collect-atstart=no"])
        .args([format!("--toggle-collect={this}"), format!("--dump-before={this}")])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(env::current_exe().unwrap())
        .arg(ONLY_WORK)
        .status();
    let Ok(status) = run else {
        println!("Instructions were not counted: valgrind is not installed.");
        return false;
    };
    assert!(status.success(), "valgrind: {status}");
    // The first file is empty: it is of the time before the first workload.
    for (number, name) in (2..).zip(workload::NAMES) {
        let text = fs::read_to_string(output.with_extension(number.to_string())).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        counts.insert(format!("{name} instructions"), total.expect("expected the total of callgrind"));
    }
    true
}
