//! Rendered responses, which all clients that poll the same one share.
//!
//! A response is rendered again when the data has changed, and each second, because it contains ages. Until then, other
//! requests for it wait for the one that renders it. Clients are authenticated first, and only those with the same role
//! share a response. Errors and actions are not stored.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::auth::Role;
use super::message::Response;

/// How long a response is shared if the data does not change: ages are in whole seconds.
pub(super) const REUSE_FOR: Duration = Duration::from_secs(1);

/// Maximum number of responses. More than those of a team that watches a few sites and the overview are not polled often.
const MAX_RESPONSES: usize = 64;

/// Maximum number of bytes in all: the figures of a thousand sites. A longer response is rendered for each request.
const MAX_BYTES: usize = 1024 * 1024;

/// What a response depends on, apart from the data: everything that its handler reads from the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RenderKey {
    pub(super) path: String,
    pub(super) query: String,
    /// See [`Identity::tag`](super::auth::Identity::tag).
    pub(super) audience: (Role, bool),
    pub(super) is_csv: bool,
    pub(super) is_gzip: bool,
}

/// The responses of one configuration.
#[derive(Debug)]
pub(super) struct RenderCache {
    reuse_for: Duration,
    entries: Mutex<HashMap<RenderKey, Entry>>,
    rendered: Condvar,
}

#[derive(Debug)]
struct Entry {
    /// The tag of the data from which it is rendered.
    etag: String,
    since: Instant,
    /// `None` while it is being rendered.
    response: Option<Response>,
}

impl Entry {
    fn is_current(&self, reuse_for: Duration) -> bool {
        self.response.is_none() || self.since.elapsed() < reuse_for
    }
}

impl RenderCache {
    pub(super) fn new(reuse_for: Duration) -> Self {
        Self { reuse_for, entries: Mutex::default(), rendered: Condvar::new() }
    }

    /// The response to requests with this key, from data with this tag. `render` is called if it is not stored.
    pub(super) fn get_or_render(
        &self,
        key: &RenderKey,
        etag: &str,
        render: impl FnOnce() -> Result<Response, Response>,
    ) -> Result<Response, Response> {
        let mut entries = self.lock();
        let is_current = |entry: &Entry| entry.is_current(self.reuse_for);
        while let Some(entry) = entries.get(key).filter(|entry| entry.etag == etag && is_current(entry)) {
            if let Some(response) = &entry.response {
                return Ok(response.clone());
            }
            entries = self.rendered.wait(entries).unwrap_or_else(PoisonError::into_inner);
        }
        entries.retain(|_, entry| is_current(entry));
        if entries.len() < MAX_RESPONSES || entries.contains_key(key) {
            let entry = Entry { etag: etag.into(), since: Instant::now(), response: None };
            entries.insert(key.clone(), entry);
        }
        drop(entries);
        // A panic here restarts the program, so no entry stays without a response.
        let response = render();
        let mut entries = self.lock();
        let bytes =
            |(key, response): (&RenderKey, &Response)| key.path.len() + key.query.len() + response.body.len();
        let stored = entries.iter().filter_map(|(key, entry)| Some((key, entry.response.as_ref()?)));
        let room = MAX_BYTES.saturating_sub(stored.map(bytes).sum());
        // A request with newer data may have replaced the entry.
        if let Some(entry) = entries.get_mut(key).filter(|entry| entry.etag == etag) {
            match &response {
                Ok(shared) if bytes((key, shared)) <= room => entry.response = Some(shared.clone()),
                _ => _ = entries.remove(key),
            }
        }
        drop(entries);
        self.rendered.notify_all();
        response
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RenderKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn key(path: &str) -> RenderKey {
        let audience = (Role::Viewer, false);
        RenderKey { path: path.into(), query: String::new(), audience, is_csv: false, is_gzip: false }
    }

    /// Whether the cache has no response for this key and data. It is rendered with this many bytes then.
    fn is_missing(cache: &RenderCache, key: &RenderKey, etag: &str, bytes: usize) -> bool {
        let is_called = Cell::new(false);
        let response = cache.get_or_render(key, etag, || {
            is_called.set(true);
            Ok(Response::new(200, "", vec![b'a'; bytes]))
        });
        assert_eq!(response.unwrap().body.len(), bytes);
        is_called.get()
    }

    #[test]
    fn a_response_is_shared_only_by_equal_requests_until_the_data_changes() {
        let cache = RenderCache::new(Duration::MAX);
        let first = key("/");
        assert!(is_missing(&cache, &first, "1", 9) && !is_missing(&cache, &first, "1", 9));
        for other in [
            key("/sites/awka"),
            RenderKey { query: "wall".into(), ..key("/") },
            RenderKey { audience: (Role::Admin, false), ..key("/") },
            RenderKey { audience: (Role::Viewer, true), ..key("/") },
            RenderKey { is_csv: true, ..key("/") },
            RenderKey { is_gzip: true, ..key("/") },
        ] {
            assert!(is_missing(&cache, &other, "1", 9), "{other:?}");
        }
        assert!(is_missing(&cache, &first, "2", 9) && !is_missing(&cache, &first, "2", 9));
    }

    #[test]
    fn requests_at_the_same_time_wait_for_one_that_renders() {
        let (cache, rendered, waiting) =
            (RenderCache::new(Duration::MAX), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    let response = cache.get_or_render(&key("/"), "1", || {
                        rendered.fetch_add(1, Ordering::Relaxed);
                        while waiting.load(Ordering::Relaxed) < 8 {
                            thread::yield_now();
                        }
                        Ok(Response::new(200, "", "a"))
                    });
                    assert_eq!(**response.unwrap().body, *b"a");
                });
            }
        });
        assert_eq!(rendered.into_inner(), 1);
    }

    #[test]
    fn a_response_is_not_reused_when_its_time_is_over() {
        let cache = RenderCache::new(Duration::ZERO);
        assert!(is_missing(&cache, &key("/"), "1", 9) && is_missing(&cache, &key("/"), "1", 9));
        assert_eq!(cache.lock().len(), 1);
    }

    #[test]
    fn errors_are_not_stored() {
        let cache = RenderCache::new(Duration::MAX);
        let error = cache.get_or_render(&key("/"), "1", || Err(Response::new(404, "", "")));
        assert_eq!(error.unwrap_err().status, 404);
        assert!(is_missing(&cache, &key("/"), "1", 9));
    }

    #[test]
    fn number_and_bytes_of_responses_are_limited() {
        let cache = RenderCache::new(Duration::MAX);
        let large = MAX_BYTES / 2;
        for path in ["/a", "/b", "/c"] {
            assert!(is_missing(&cache, &key(path), "1", large - 2));
        }
        let missing = ["/a", "/b", "/c"].map(|path| is_missing(&cache, &key(path), "1", large - 2));
        assert_eq!(missing, [false, false, true]);
        let cache = RenderCache::new(Duration::MAX);
        for n in 0..2 * MAX_RESPONSES {
            is_missing(&cache, &key(&format!("/{n}")), "1", 0);
        }
        assert_eq!(cache.lock().len(), MAX_RESPONSES);
    }

    #[test]
    fn a_response_is_not_stored_for_newer_data() {
        let cache = RenderCache::new(Duration::MAX);
        let older = cache.get_or_render(&key("/"), "1", || {
            assert!(is_missing(&cache, &key("/"), "2", 2));
            Ok(Response::new(200, "", "a"))
        });
        assert_eq!(older.unwrap().body.len(), 1);
        assert!(!is_missing(&cache, &key("/"), "2", 2));
    }
}
