//! The output of `check` for every file in `tests/configuration`: for a bad file it is in the `.txt` of the same name, and a
//! good file has no problem. The `.env` of the same name, if there is one, is the environment.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::binary::binary;
use phsweb_agent::config;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Every password and token in the files.
const SECRET: &str = "hunter2";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configuration").join(name)
}

/// The names of the files with an extension, without it.
fn names(folder: &Path, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_string())).collect()
}

/// The output of `check` for a file, run in the file's folder.
fn check(path: &Path) -> Output {
    let environment = fs::read_to_string(path.with_extension("env")).unwrap_or_default();
    Command::new(binary())
        .current_dir(path.parent().unwrap())
        .env_clear()
        .envs(environment.lines().filter_map(|line| line.split_once('=')))
        .args([OsStr::new("check"), path.file_name().unwrap()])
        .output()
        .unwrap()
}

#[test]
fn each_bad_file_has_the_expected_problems() {
    let folder = folder("bad");
    let files = names(&folder, "ron");
    assert!(files.len() >= 150, "found only {} files", files.len());
    assert_eq!(files, names(&folder, "txt"), "expected a .txt for each .ron");
    assert!(names(&folder, "env").is_subset(&files));
    let mut wrong = Vec::new();
    for name in files {
        let path = folder.join(&name).with_extension("ron");
        let output = check(&path);
        let printed = String::from_utf8(output.stdout).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        // A problem's first line is not indented.
        let count = expected.lines().filter(|line| !line.starts_with(' ')).count();
        let counted = format!("{count} problem{}.\n", if count == 1 { "" } else { "s" });
        assert!(!expected.contains(SECRET), "{name}: expected no secret in the .txt");
        if printed != expected
            || String::from_utf8_lossy(&output.stderr) != counted
            || output.status.code() != Some(1)
        {
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("--- {name}\n{printed}{err}--- expected\n{expected}{counted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_good_file_has_no_problem() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder("good");
    let files = names(&folder, "ron");
    assert!(files.len() >= 12, "found only {} files", files.len());
    assert!(names(&folder, "env").is_subset(&files));
    // No file with secrets is readable for all, so there are no warnings.
    let private = tempfile::tempdir().unwrap();
    for folder in ["tests/configuration/good", "tests/certificates", ""] {
        fs::create_dir_all(private.path().join(folder)).unwrap();
        for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file()
                && (!folder.is_empty() || entry.file_name() == "sites.ron")
            {
                let copy = private.path().join(folder).join(entry.file_name());
                fs::copy(entry.path(), &copy).unwrap();
                fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
    let folder = private.path().join("tests/configuration/good");
    let files = files.iter().map(|name| folder.join(name).with_extension("ron"));
    for path in files.chain([private.path().join("sites.ron")]) {
        let output = check(&path);
        let printed = String::from_utf8(output.stdout).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let problems = printed.strip_prefix(name).and_then(|rest| rest.strip_prefix(" is valid: "));
        assert!(problems.is_some() && printed.lines().count() == 1, "{printed}");
        assert!(output.stderr.is_empty() && output.status.success(), "{name}");
    }
}

#[test]
fn a_warning_is_shown_and_check_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    for (name, mode) in [("page.cert.pem", 0o644), ("page.key.pem", 0o644)] {
        fs::copy(certificates.join(name), folder.path().join(name)).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let path = folder.path().join("sites.ron");
    let text = "(\n  http: (tls: (cert: \"page.cert.pem\", key: \"page.key.pem\")),\n  sites: {},\n)\n";
    fs::write(&path, text).unwrap();
    let output = check(&path);
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = "sites.ron:2:44: warning: http.tls.key: every user of this machine can read the key page.key.pem: \
                    chmod 600 it\n      http: (tls: (cert: \"···\", key: \"···\")),\n";
    assert!(
        printed.starts_with(expected) && printed.ends_with("\nsites.ron is valid: 0 sites, 1 warning.\n"),
        "{printed}"
    );
    assert!(output.stderr.is_empty() && output.status.success());
}

/// The shipped file, with passwords that occur nowhere else.
fn shipped() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sites.ron")).unwrap();
    assert!(text.contains("change-me"));
    text.replace("change-me", SECRET)
}

/// Each problem has a place and contains no secret.
fn assert_problems_are_located_and_contain_no_secret(bytes: &[u8]) -> Result<(), TestCaseError> {
    // A file that is not UTF-8 is rejected before it is parsed.
    let text = String::from_utf8_lossy(bytes);
    let Err(problems) = config::parse(Path::new("sites.ron"), &text, &|_| None) else { return Ok(()) };
    prop_assert!(!problems.all().is_empty());
    let messages = problems.to_string();
    // One letter of the secret may be the changed byte.
    prop_assert!(![&SECRET[..4], &SECRET[4..]].iter().any(|half| messages.contains(half)), "{}", messages);
    let lines = text.lines().count() + 1;
    // The message that there are more problems has no place.
    let more = |problem: &&config::Diagnostic| problem.message().starts_with("there are more problems");
    prop_assert!(problems.all().iter().filter(more).count() <= 1);
    for problem in problems.all().iter().filter(|problem| !more(problem)) {
        let place: Vec<_> = problem.place().split(':').skip(1).map(str::parse::<usize>).collect();
        prop_assert!(place.len() == 2 && place.iter().all(Result::is_ok), "{}", problem);
        prop_assert!(place[0].as_ref().is_ok_and(|line| (1..=lines).contains(line)), "{}", problem);
        prop_assert!(!problem.message().is_empty() && problem.excerpt().is_some());
    }
    Ok(())
}

/// The shipped file with another byte at a place.
fn changed(at: Index, byte: u8) -> Vec<u8> {
    let mut bytes = shipped().into_bytes();
    let at = at.index(bytes.len());
    bytes[at] = byte;
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_file_is_reported(at in any::<Index>()) {
        let shipped = shipped();
        assert_problems_are_located_and_contain_no_secret(&shipped.as_bytes()[..at.index(shipped.len())])?;
    }

    #[test]
    fn a_file_with_two_lines_swapped_is_reported(one in any::<Index>(), other in any::<Index>()) {
        let shipped = shipped();
        let mut lines: Vec<&str> = shipped.lines().collect();
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        lines.swap(one, other);
        assert_problems_are_located_and_contain_no_secret(lines.join("\n").as_bytes())?;
    }

    #[test]
    fn a_file_with_a_changed_byte_is_reported(at in any::<Index>(), byte in any::<u8>()) {
        assert_problems_are_located_and_contain_no_secret(&changed(at, byte))?;
    }

    /// Signs matter most, and are few of all bytes.
    #[test]
    fn a_file_with_a_changed_sign_is_reported(
        at in any::<Index>(),
        sign in select(b"()[]{}\",:/*\\#'= \n\t0".to_vec()),
    ) {
        assert_problems_are_located_and_contain_no_secret(&changed(at, sign))?;
    }
}
