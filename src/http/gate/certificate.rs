//! The certificate that clients get, which follows its files while they are served.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_rustls::rustls::ServerConfig;
use smol::{Timer, unblock};

use super::tls;
use crate::config::{Digest, Files, Found, Https, Unfit};

/// From one look at the files to the next. Their content is what counts: neither a mounted file nor
/// one behind a link says by itself that it is another now.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long files may be wrong before that is told. Certificate and key are replaced one after the
/// other, and copied piece by piece.
const PATIENCE: Duration = Duration::from_secs(5);

/// What new connections are secured with.
pub(super) struct Certificate {
    settings: Mutex<Arc<ServerConfig>>,
    files: Files,
    first: Digest,
}

impl Certificate {
    pub(super) fn new(https: &Https) -> Self {
        warn_of(https);
        let settings = Mutex::new(tls::settings(https.server()));
        Self { settings, files: https.files().clone(), first: https.digest() }
    }

    /// For a connection that begins now.
    pub(super) fn settings(&self) -> Arc<ServerConfig> {
        self.lock().clone()
    }

    /// Takes each pair that is found in the files and is good, for ever.
    pub(super) async fn follow(&self) -> Infallible {
        let files = &self.files;
        let mut follower = Follower { served: self.first, unfit: None };
        loop {
            Timer::after(LOOK_EVERY).await;
            // On another thread: a disk that hangs must not make the clients wait.
            let found = unblock({
                let files = files.clone();
                move || files.read()
            });
            match follower.look(found.await, Instant::now()) {
                News::None => {}
                News::Good(https) => {
                    // Sessions of the one before are not resumed: its settings go with them.
                    *self.lock() = tls::settings(https.server());
                    log::info!("new connections get the certificate that is in {files} now");
                    warn_of(&https);
                }
                News::Bad(unfits) => {
                    let why: Vec<String> = unfits.iter().map(Unfit::to_string).collect();
                    log::warn!("the certificate stays as it was: {}", why.join("; "));
                }
            }
        }
    }

    // What is behind the lock is always whole.
    fn lock(&self) -> MutexGuard<'_, Arc<ServerConfig>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of(https: &Https) {
    for warning in https.warnings() {
        log::warn!("{warning}");
    }
}

/// Tells what is new in the files from what was there at the last look.
struct Follower {
    served: Digest,
    unfit: Option<Wrong>,
}

/// A content that can't be served.
struct Wrong {
    digest: Digest,
    since: Instant,
    /// What is wrong with it; nothing where that was told.
    untold: Vec<Unfit>,
}

/// What a look has shown.
enum News {
    None,
    /// It is to be served from now on.
    Good(Https),
    /// It can't be, and has been so for longer than a replacement takes.
    Bad(Vec<Unfit>),
}

impl Follower {
    fn look(&mut self, found: Found, now: Instant) -> News {
        let digest = found.digest();
        if digest == self.served {
            self.unfit = None;
            return News::None;
        }
        if let Some(wrong) = self.unfit.as_mut().filter(|wrong| wrong.digest == digest) {
            let late = now.duration_since(wrong.since) >= PATIENCE && !wrong.untold.is_empty();
            return if late { News::Bad(std::mem::take(&mut wrong.untold)) } else { News::None };
        }
        match found.check() {
            Ok(https) => {
                *self = Self { served: digest, unfit: None };
                News::Good(https)
            }
            Err(untold) => {
                self.unfit = Some(Wrong { digest, since: now, untold });
                News::None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_wrong_is_told_once_and_not_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert", "key"].map(|part| folder.path().join(part));
        let put = |pair: (&str, &str)| {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
            for (path, name) in [(&cert, pair.0), (&key, pair.1)] {
                match name {
                    "" => fs::remove_file(path).unwrap(),
                    _ => fs::write(path, fs::read(kept.join(format!("{name}.pem"))).unwrap()).unwrap(),
                }
            }
        };
        let page = ("page.cert", "page.key");
        let other = ("other.cert", "other.key");
        put(page);
        let https = Https::load(cert.clone(), key.clone()).unwrap();
        let mut follower = Follower { served: https.digest(), unfit: None };
        let start = Instant::now();
        for (second, pair, told) in [
            (0, page, ""),
            (2, other, "good"),
            (4, other, ""),
            // A replacement under way.
            (6, ("page.cert", "other.key"), ""),
            (8, ("page.cert", "other.key"), ""),
            (10, page, "good"),
            // And one that stays so.
            (12, ("page.cert", "other.key"), ""),
            (16, ("page.cert", "other.key"), ""),
            (18, ("page.cert", "other.key"), "is not the key of"),
            (20, ("page.cert", "other.key"), ""),
            (99, ("page.cert", "other.key"), ""),
            // Another content has a time of its own.
            (100, ("page.cert", "page.cert"), ""),
            (104, ("page.cert", "page.cert"), ""),
            (105, ("page.cert", "page.cert"), "holds a certificate and no key"),
            (106, ("page.cert", ""), ""),
            (111, ("page.cert", "page.key"), ""),
            (112, ("other.cert", "page.key"), ""),
            (117, ("other.cert", "page.key"), "is not the key of"),
            (118, other, "good"),
            (199, other, ""),
            // So has one that comes again.
            (200, page, "good"),
            (202, ("other.cert", "page.key"), ""),
            (204, page, ""),
            (206, ("other.cert", "page.key"), ""),
            (207, ("other.cert", "page.key"), ""),
            (211, ("other.cert", "page.key"), "is not the key of"),
        ] {
            put(pair);
            let news = follower.look(https.files().read(), start + Duration::from_secs(second));
            let matches = match news {
                News::None => told.is_empty(),
                News::Good(https) => told == "good" && https.digest() == https.files().read().digest(),
                News::Bad(unfits) => !told.is_empty() && unfits[0].to_string().contains(told),
            };
            assert!(matches, "{second} s: {pair:?}: expected {told:?}");
        }
    }
}
