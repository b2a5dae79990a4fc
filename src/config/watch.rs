//! The file as it changes while the agent runs: what is whole and good is taken at once, what is wrong is
//! told when it stays so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fingerprint::{Fingerprints, is_pipe};
use super::{Config, Diagnostic, Diagnostics, Environment, read};

/// Looks at the file again and again, and at all that it names: secrets, certificates. Their content is what counts.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// What was in them at the last look.
    contents: Fingerprints,
    /// What is wrong since when, and was not told yet: it may be half written.
    doubt: Option<(Diagnostics, Instant)>,
    /// Whether it came from a pipe, so that it can't be read again.
    is_gone: bool,
    /// How long a file may be wrong, in another way at each look, before that is told: it is being written.
    settle: Duration,
}

impl Watch {
    /// Looks at the file for the first time: what it says, or what is wrong with it as [`load`](super::load)
    /// tells it.
    pub fn first(
        path: PathBuf,
        environment: Environment,
        settle: Duration,
    ) -> (Self, Result<Config, Diagnostics>) {
        let is_gone = is_pipe(&path);
        let mut watch = Self { path, contents: Fingerprints::default(), doubt: None, is_gone, settle };
        let config = watch.read(environment);
        (watch, config)
    }

    /// Whether it can be looked at again: what came from a pipe can't.
    #[must_use]
    pub fn can_look_again(&self) -> bool {
        !self.is_gone
    }

    /// The file itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is new since the last look, if anything is: the configuration as it is now, or what is wrong with
    /// it. What is wrong is told when a second look finds the same, or once it is so for some seconds.
    pub fn look(&mut self, environment: Environment) -> Option<Result<Config, Diagnostics>> {
        if self.is_gone {
            return None;
        }
        if self.contents.are_same() {
            return self.doubt.take().map(|(problems, _)| Err(problems));
        }
        match self.read(environment) {
            Ok(config) => {
                self.doubt = None;
                Some(Ok(config))
            }
            Err(problems) => {
                let since = self.doubt.as_ref().map_or_else(Instant::now, |&(_, since)| since);
                if since.elapsed() >= self.settle {
                    self.doubt = None;
                    return Some(Err(problems));
                }
                self.doubt = Some((problems, since));
                None
            }
        }
    }

    /// The configuration as it is now, whether it is new or not, or what is wrong with it: for who says that
    /// it is ready.
    ///
    /// # Errors
    ///
    /// As [`load`](super::load).
    pub fn reload(&mut self, environment: Environment) -> Result<Config, Diagnostics> {
        self.doubt = None;
        if self.is_gone {
            let message =
                "was read from a pipe, and can't be read again; start the agent anew, or name a file";
            return Err(Diagnostic::elsewhere(self.path.display().to_string(), message).into());
        }
        self.read(environment)
    }

    /// A problem for each file whose path leads to a file that was replaced or deleted: its new content can't be read.
    #[must_use]
    pub fn unlinked(&self) -> Vec<Diagnostic> {
        const MESSAGE: &str = "was replaced or deleted where it is mounted from, so only its old content can be read; \
            restart the container, and mount the folder in place of the file";
        let problem = |path: &Path| Diagnostic::elsewhere(path.display().to_string(), MESSAGE);
        self.contents.unlinked().map(problem).collect()
    }

    fn read(&mut self, environment: Environment) -> Result<Config, Diagnostics> {
        // What has become a pipe meanwhile could keep this waiting for ever.
        let (config, contents) = read(&self.path, environment, self.is_gone);
        self.contents = contents;
        config
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    const GOOD: &str = r#"(sites: {"awka": (hosts: ["10.0.1.1"], user: "u", password: File("secret"))})"#;

    struct Looked {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Looked {
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

        /// What a look tells: nothing, the first site's host and password, or what is wrong.
        fn look(&mut self) -> String {
            match self.watch.look(&|_| None) {
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
    fn what_is_good_is_taken_at_once() {
        let mut looked = Looked::new();
        assert_eq!(looked.look(), "");
        looked.write("sites.ron", &GOOD.replace("10.0.1.1", "10.0.1.2"));
        assert_eq!(looked.look(), "10.0.1.2:8728 one");
        assert_eq!(looked.look(), "");
        looked.write("secret", "two\n");
        assert_eq!(looked.look(), "10.0.1.2:8728 two");
        // By another file in its place.
        looked.write("new", GOOD);
        fs::rename(looked.folder.path().join("new"), looked.watch.path()).unwrap();
        assert_eq!(looked.look(), "10.0.1.1:8728 two");
        assert_eq!(looked.look(), "");
    }

    #[test]
    fn what_is_wrong_is_told_once_and_only_where_it_stays_so() {
        let mut looked = Looked::new();
        looked.write("sites.ron", &GOOD[..40]);
        assert_eq!(looked.look(), "", "half of it");
        looked.write("sites.ron", &GOOD.replace("10.0.1.1", "10.0.1.2"));
        assert_eq!(looked.look(), "10.0.1.2:8728 one");
        looked.write("sites.ron", &GOOD[..40]);
        assert_eq!(looked.look(), "");
        looked.write("sites.ron", &GOOD[..50]);
        assert_eq!(looked.look(), "", "more of it");
        let told = looked.look();
        assert!(told.starts_with("sites.ron:1:") && told.contains("not RON"), "{told}");
        assert_eq!(looked.look(), "");
        looked.write("sites.ron", GOOD);
        assert_eq!(looked.look(), "10.0.1.1:8728 one");
        // What it names is looked at though it is not there.
        fs::remove_file(looked.folder.path().join("secret")).unwrap();
        assert_eq!(looked.look(), "");
        assert!(looked.look().contains("password: the secret file"));
        looked.write("secret", "three");
        assert_eq!(looked.look(), "10.0.1.1:8728 three");
        fs::remove_file(looked.watch.path()).unwrap();
        assert_eq!(looked.look(), "");
        assert!(looked.look().starts_with("sites.ron: can't be read"));
    }

    #[test]
    fn what_is_never_the_same_is_told_in_the_end() {
        let mut looked = Looked::new();
        let mut told = String::new();
        looked.write("sites.ron", "(");
        assert_eq!(looked.look(), "");
        let (_, since) = looked.watch.doubt.as_mut().unwrap();
        *since -= SETTLE;
        looked.write("sites.ron", "((");
        told += &looked.look();
        assert!(told.contains("not RON"), "{told}");
    }

    #[test]
    fn a_pipe_is_not_read_again() {
        let looked = Looked::new();
        let pipe = looked.folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, GOOD).unwrap()
        });
        let (mut watch, config) = Watch::first(pipe, &|_| None, SETTLE);
        assert!(config.is_ok() && !watch.can_look_again());
        writer.join().unwrap();
        looked.write("secret", "two");
        assert!(watch.look(&|_| None).is_none());
        let problems = watch.reload(&|_| None).unwrap_err().to_string();
        assert!(problems.contains("from a pipe"), "{problems}");
    }

    #[test]
    fn who_says_that_it_is_ready_is_told_at_once() {
        let mut looked = Looked::new();
        assert!(looked.watch.reload(&|_| None).is_ok(), "though nothing is new");
        looked.write("sites.ron", "(");
        assert!(looked.watch.reload(&|_| None).is_err());
        assert_eq!(looked.look(), "", "and only once");
    }
}
