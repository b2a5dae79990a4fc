//! Watches the file while the agent runs. A valid file is applied at once. An invalid file may be half written, so it
//! is reported only if it stays invalid.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::diagnostic::Diagnostic;
use super::environment::Environment;
use super::fingerprint::{Fingerprints, is_pipe};
use super::load::{Config, Diagnostics, load_with_fingerprints};

/// Compares the content of the file, and of all secrets and certificates that it names, with the last check.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// The content of the files at the last check.
    fingerprints: Fingerprints,
    /// Problems that were not reported yet, and since when there are problems.
    unreported: Option<(Diagnostics, Instant)>,
    /// Whether the file was a pipe, which can't be read again.
    was_pipe: bool,
    /// How long a file may have different problems at each check before they are reported: it is probably being
    /// written.
    settle: Duration,
}

impl Watch {
    /// Reads the file for the first time, as [`load`](super::load) does.
    pub fn first(
        path: PathBuf,
        environment: Environment,
        settle: Duration,
    ) -> (Self, Result<Config, Diagnostics>) {
        let was_pipe = is_pipe(&path);
        let mut watch =
            Self { path, fingerprints: Fingerprints::default(), unreported: None, was_pipe, settle };
        let config = watch.read(environment);
        (watch, config)
    }

    /// Whether the file can be read again, which a pipe can't.
    pub fn can_look_again(&self) -> bool {
        !self.was_pipe
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration or its problems, if the files changed since the last check. Problems are reported when a
    /// second check finds the same ones, or after some seconds.
    pub fn check(&mut self, environment: Environment) -> Option<Result<Config, Diagnostics>> {
        if self.was_pipe {
            return None;
        }
        if self.fingerprints.are_same() {
            return self.unreported.take().map(|(problems, _)| Err(problems));
        }
        match self.read(environment) {
            Ok(config) => {
                self.unreported = None;
                Some(Ok(config))
            }
            Err(problems) => {
                let since = self.unreported.as_ref().map_or_else(Instant::now, |&(_, since)| since);
                if since.elapsed() >= self.settle {
                    self.unreported = None;
                    return Some(Err(problems));
                }
                self.unreported = Some((problems, since));
                None
            }
        }
    }

    /// The configuration or its problems at once, changed or not, because a person requested it.
    ///
    /// # Errors
    ///
    /// As [`load`](super::load).
    pub fn reload(&mut self, environment: Environment) -> Result<Config, Diagnostics> {
        self.unreported = None;
        if self.was_pipe {
            let message = "was read from a pipe, and can't be read again; restart the agent, or name a file";
            return Err(Diagnostic::elsewhere(self.path.display().to_string(), message).into());
        }
        self.read(environment)
    }

    /// A problem for each file that was replaced or deleted outside the container, so that its new content can't be read.
    pub fn unlinked(&self) -> Vec<Diagnostic> {
        const MESSAGE: &str = "was replaced or deleted where it is mounted from, so only its old content can be read; \
            restart the container, and mount the folder instead of the file";
        let problem = |path: &Path| Diagnostic::elsewhere(path.display().to_string(), MESSAGE);
        self.fingerprints.unlinked().map(problem).collect()
    }

    fn read(&mut self, environment: Environment) -> Result<Config, Diagnostics> {
        // If a file was replaced by a pipe, this could block forever.
        let (config, fingerprints) = load_with_fingerprints(&self.path, environment, self.was_pipe);
        self.fingerprints = fingerprints;
        config
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    const GOOD: &str = r#"(sites: {"awka": (hosts: ["10.0.1.1"], user: "u", password: File("secret"))})"#;

    struct Fixture {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("sites.ron"), GOOD).unwrap();
            fs::write(folder.path().join("secret"), "one").unwrap();
            let (watch, _) = Watch::first(folder.path().join("sites.ron"), &|_| None, SETTLE);
            Self { folder, watch }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// The result of a check: nothing, the first site's host and password, or the first problem.
        fn check(&mut self) -> String {
            match self.watch.check(&|_| None) {
                None => String::new(),
                Some(Ok(config)) => config
                    .sites
                    .first()
                    .map_or("no site".into(), |site| format!("{} {}", site.hosts[0], site.password.expose())),
                Some(Err(problems)) => {
                    let problem = &problems.all()[0];
                    let name = problem.place().rsplit('/').next().unwrap_or_default();
                    format!("{name}: {}", problem.message().split(';').next().unwrap_or_default())
                }
            }
        }
    }

    #[test]
    fn a_valid_change_is_applied_at_once() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.check(), "");
        fixture.write("sites.ron", &GOOD.replace("10.0.1.1", "10.0.1.2"));
        assert_eq!(fixture.check(), "10.0.1.2:8728 one");
        assert_eq!(fixture.check(), "");
        fixture.write("secret", "two\n");
        assert_eq!(fixture.check(), "10.0.1.2:8728 two");
        // Replaced by another file.
        fixture.write("new", GOOD);
        fs::rename(fixture.folder.path().join("new"), fixture.watch.path()).unwrap();
        assert_eq!(fixture.check(), "10.0.1.1:8728 two");
        assert_eq!(fixture.check(), "");
    }

    #[test]
    fn problems_that_stay_are_reported_once() {
        let mut fixture = Fixture::new();
        fixture.write("sites.ron", &GOOD[..40]);
        assert_eq!(fixture.check(), "", "half of it");
        fixture.write("sites.ron", &GOOD.replace("10.0.1.1", "10.0.1.2"));
        assert_eq!(fixture.check(), "10.0.1.2:8728 one");
        fixture.write("sites.ron", &GOOD[..40]);
        assert_eq!(fixture.check(), "");
        fixture.write("sites.ron", &GOOD[..50]);
        assert_eq!(fixture.check(), "", "more of it");
        let reported = fixture.check();
        assert!(reported.starts_with("sites.ron:1:") && reported.contains("not RON"), "{reported}");
        assert_eq!(fixture.check(), "");
        fixture.write("sites.ron", GOOD);
        assert_eq!(fixture.check(), "10.0.1.1:8728 one");
        // A file that is named but missing is watched, too.
        fs::remove_file(fixture.folder.path().join("secret")).unwrap();
        assert_eq!(fixture.check(), "");
        assert!(fixture.check().contains("password: the secret file"));
        fixture.write("secret", "three");
        assert_eq!(fixture.check(), "10.0.1.1:8728 three");
        fs::remove_file(fixture.watch.path()).unwrap();
        assert_eq!(fixture.check(), "");
        assert!(fixture.check().starts_with("sites.ron: can't be read"));
    }

    #[test]
    fn problems_that_keep_changing_are_reported_after_a_while() {
        let mut fixture = Fixture::new();
        let mut reported = String::new();
        fixture.write("sites.ron", "(");
        assert_eq!(fixture.check(), "");
        let (_, since) = fixture.watch.unreported.as_mut().unwrap();
        *since -= SETTLE;
        fixture.write("sites.ron", "((");
        reported += &fixture.check();
        assert!(reported.contains("not RON"), "{reported}");
    }

    #[test]
    fn a_pipe_is_not_read_again() {
        let fixture = Fixture::new();
        let pipe = fixture.folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, GOOD).unwrap()
        });
        let (mut watch, config) = Watch::first(pipe, &|_| None, SETTLE);
        assert!(config.is_ok() && !watch.can_look_again());
        writer.join().unwrap();
        fixture.write("secret", "two");
        assert!(watch.check(&|_| None).is_none());
        let problems = watch.reload(&|_| None).unwrap_err().to_string();
        assert!(problems.contains("from a pipe"), "{problems}");
    }

    #[test]
    fn a_requested_reload_reports_problems_at_once() {
        let mut fixture = Fixture::new();
        assert!(fixture.watch.reload(&|_| None).is_ok(), "though nothing is new");
        fixture.write("sites.ron", "(");
        assert!(fixture.watch.reload(&|_| None).is_err());
        assert_eq!(fixture.check(), "", "and only once");
    }
}
