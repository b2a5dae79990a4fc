//! What `check` says of every file in `tests/configuration`, word for word: of the bad ones what stands beside
//! them in a `.txt`, of the good ones that they are good. An `.env` beside a file is its environment, which is
//! empty otherwise.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use phsweb_agent::config;
use proptest::prelude::*;

/// What stands for every password and token in them.
const SECRET: &str = "hunter2";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configuration").join(name)
}

/// The names of the files that end so, without their ends.
fn names(folder: &Path, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_string())).collect()
}

/// What the program says of a file, in the file's folder.
fn check(path: &Path) -> Output {
    let environment = fs::read_to_string(path.with_extension("env")).unwrap_or_default();
    Command::new(env!("CARGO_BIN_EXE_phsweb-agent"))
        .current_dir(path.parent().unwrap())
        .env_clear()
        .envs(environment.lines().filter_map(|line| line.split_once('=')))
        .args([OsStr::new("check"), path.file_name().unwrap()])
        .output()
        .unwrap()
}

#[test]
fn each_bad_file_is_told_word_for_word() {
    let folder = folder("bad");
    let files = names(&folder, "ron");
    assert!(files.len() >= 150, "only {}", files.len());
    assert_eq!(files, names(&folder, "txt"), "each has what is expected beside it");
    assert!(names(&folder, "env").is_subset(&files));
    let mut wrong = Vec::new();
    for name in files {
        let path = folder.join(&name).with_extension("ron");
        let output = check(&path);
        let said = String::from_utf8(output.stdout).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        // A problem's first line is not indented.
        let count = expected.lines().filter(|line| !line.starts_with(' ')).count();
        let counted = format!("{count} problem{}.\n", if count == 1 { "" } else { "s" });
        assert!(!expected.contains(SECRET), "{name}: a secret is expected");
        if said != expected
            || String::from_utf8_lossy(&output.stderr) != counted
            || output.status.code() != Some(1)
        {
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("--- {name}\n{said}{err}--- expected\n{expected}{counted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_good_file_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder("good");
    let files = names(&folder, "ron");
    assert!(files.len() >= 12, "only {}", files.len());
    assert!(names(&folder, "env").is_subset(&files));
    let files = files.iter().map(|name| folder.join(name).with_extension("ron"));
    for path in files.chain([root.join("sites.ron")]) {
        let output = check(&path);
        let said = String::from_utf8(output.stdout).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let problems = said.strip_prefix(name).and_then(|rest| rest.strip_prefix(" is good: "));
        assert!(problems.is_some() && said.lines().count() == 1, "{said}");
        assert!(output.stderr.is_empty() && output.status.success(), "{name}");
    }
}

/// How often the shipped file is spoilt.
const CASES: u32 = 2000;

/// The shipped file, its passwords being such as stand nowhere else.
fn shipped() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sites.ron")).unwrap();
    assert!(text.contains("change-me"));
    text.replace("change-me", SECRET)
}

/// One way to spoil a text.
#[derive(Debug, Clone)]
enum Spoil {
    Cut(prop::sample::Index),
    Change(prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index),
}

impl Spoil {
    fn of(self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Change(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Self::Swap(one, other) => {
                let mut lines: Vec<&str> = text.lines().collect();
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                bytes = lines.join("\n").into_bytes();
            }
        }
        bytes
    }
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<prop::sample::Index>;
    // Most bytes are of letters: signs are what a file stands on.
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"()[]{}\",:/*\\#'= \n\t0".to_vec())];
    prop_oneof![
        1 => index().prop_map(Spoil::Cut),
        3 => (index(), byte).prop_map(|(at, byte)| Spoil::Change(at, byte)),
        1 => (index(), index()).prop_map(|(one, other)| Spoil::Swap(one, other)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    /// It comes to an end, too: whatever hangs would be seen here.
    #[test]
    fn whatever_is_wrong_is_told_with_its_place_and_no_secret(spoil in spoil()) {
        let bytes = spoil.of(&shipped());
        // A file that is no UTF-8 goes no further than that.
        let text = String::from_utf8_lossy(&bytes);
        if let Err(problems) = config::parse(Path::new("sites.ron"), &text, &|_| None) {
            prop_assert!(!problems.all().is_empty());
            let told = problems.to_string();
            // One of its letters may be what was changed.
            prop_assert!(![&SECRET[..4], &SECRET[4..]].iter().any(|half| told.contains(half)), "{}", told);
            for problem in problems.all() {
                let place: Vec<_> = problem.place().split(':').skip(1).map(str::parse::<usize>).collect();
                prop_assert!(place.len() == 2 && place.iter().all(Result::is_ok), "{}", problem);
                let lines = text.lines().count() + 1;
                prop_assert!(place[0].as_ref().is_ok_and(|line| (1..=lines).contains(line)), "{}", problem);
                prop_assert!(!problem.message().is_empty() && problem.excerpt().is_some());
            }
        }
    }
}
