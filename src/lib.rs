//! The phsweb-agent monitors MikroTik hotspots at many sites: who is online, and the state of the routers.
//!
//! One process runs at a site, or in one place for many sites. It logs in to each router over the RouterOS API, keeps
//! the state of all sites in memory, and serves a page, JSON and metrics from there.
//!
//! # Map
//!
//! In reading order, from the wire up. `docs/architecture.md` follows a reply, an edit of the file and an action through
//! these modules.
//!
//! | module | subject |
//! | --- | --- |
//! | [`net`] | resolve, connect, TLS client, deadlines, a small HTTP client, chunked bodies of client and server |
//! | [`routeros`] | the RouterOS API, without hotspots: wire format, values, code pages, login, the client with its multiplexer, errors |
//! | [`plugin`] | what to query, how to interpret it and how to measure it: `hotspot`, `resource`, `health`, plugins `declared` in the file, and `internal` ones for the clock and the capacity |
//! | [`state`] | what is known, and since when: readings, the snapshot of all sites, totals of today, the store and its events, the last reload. No I/O |
//! | [`journal`] | ended sessions: who, when, how much and why, from the store's events. No I/O |
//! | [`history`] | figures over time in slots of a minute to a day, recorded from the store's events |
//! | [`config`] | `sites.ron`: the field `table`, the document, its validator and diagnostics, `load` for the whole file, `watch` for changes, `changes` between two configurations |
//! | [`storage`] | data that survives a restart: append-only files in one directory, their format and their problems |
//! | [`site`] | one task for each site: its `supervisor` chooses a host, connects and backs off, its `session` owns one connection; `handle` is how others reach it, `context` what they share with it |
//! | [`action`] | actions at a router, one file each: kick, users, refresh, connection test |
//! | [`alert`] | rules over the state of all sites: what is worth a message, when it is announced, and when it is resolved. No I/O |
//! | [`notify`] | sends messages about alerts: webhook, Telegram, ntfy, Slack, Discord, Alertmanager; queues, retries; the heartbeat |
//! | [`http`] | the HTTP server, authentication, dispatch by the route table; JSON in `api`, HTML in `page`, Prometheus text in `metrics`, server-sent events in `sse` |
//! | [`simulator`] | a simulated router for `demo`, `simulate`, `--simulate` and the tests |
//! | [`agent`] | the running agent: its parts wired together, configuration reloads, the listener, log lines about sites, signals, restart after a panic |
//! | `cli` | the command line: arguments, help, one file for each command. It belongs to the program, not to this library |
//! | [`logging`] | log lines through a queue, with rate limits for lines that clients can cause |
//! | [`clock`] | moments that stay correct when the system clock is set |
//! | [`memory`] | the memory budget: how much of the routers' replies may be held for all sites together |
//! | [`executor`] | the thread that runs all tasks |
//! | [`deadline`] | limits the time of a future |
//! | [`text`] | makes text from routers and clients safe for a terminal or the log, and short; hexadecimal digits |
//! | [`timings`] | the intervals of all policies, which tests shorten |
//!
//! ```text
//! main → cli → agent → http → action → site → config → journal → state → plugin → routeros → net
//! agent, http → { history, journal } → storage → state
//! cli, agent, http → notify → alert → { config, state }
//! cli → simulator → routeros::wire
//! ```
//!
//! Dependencies point to the right only, and may skip modules. No two files import each other. The last seven modules of the
//! table are used by several others. `tests/blackbox/architecture.rs` lists what each module may use, and checks all of
//! this. `http` never sees a client of a router: it renders a snapshot, and sends a request to the site's task if a
//! router must be asked.
//!
//! # Data flow
//!
//! - Refresh: router → `wire::Decoder` → `Client`, by tag → `SiteSession` → `Plugin::read` → `Reading` → `Store` → a new
//!   `Arc<Snapshot>` → page, JSON, metrics.
//! - Changes: router → `listen` → `ListenTracker` → a plugin, which counts each login once → `Store`.
//! - Configuration: `sites.ron` → `Watch` → validator → `Changes` → sites, dispatcher and listener. What did not change is
//!   not touched. An invalid file changes nothing but what the page shows about it.
//! - Errors: a router's trap → `Reply` → `Error` with its cause and hint → the plugin's `Reading`, or the site's
//!   `ConnectionState`.
//! - GET: client → server, complete requests only → worker → `Dispatcher` → route → handler → response from the latest
//!   snapshot. A `Fetch` handler's response comes later, from the site's task or as an event stream.
//! - POST: client → server → worker → `Dispatcher` → route → handler → `SiteHandles` → mailbox → the site's task → action →
//!   router → read back → `Store`, and the response.
//! - Stored data: each `Persist`, such as the login sessions, the history and the alerts → `Storage` → its file; at the start
//!   the file → `Persist`, before the sites start.
//! - Events: `Store` compares the old and the new snapshot → `StoreEvent`s, which contain the `SiteEvent`s of each changed
//!   site → log lines about sites, server-sent events, the journal, the history and the alerts, each through a bounded
//!   queue. No other code decides what counts as a change.
//!
//! # Threads
//!
//! The main thread runs the HTTP server and applies changed configurations. The executor thread runs the sites, the
//! actions and the events, and receives signals. Two to four worker threads render responses, one computes TLS handshakes
//! if the page uses HTTPS, and one writes the log. Threads of smol's `blocking` pool, which end when they are idle, read
//! the files, write stored data and resolve host names. No worker thread waits for a router, and no lock that a request or a site
//! takes is held during I/O. Responses that may have megabytes are rendered one at a time.
//!
//! A panic in any thread is a bug. It is not caught, and nothing unwinds: the program logs its location and replaces itself
//! in the same process, with the same arguments. It reads the state from the routers again, and stored data.
//!
//! # Invariants
//!
//! - No router, browser or file can terminate the process or grow it beyond a limit that a named constant documents.
//! - After a panic the agent is back within the time of one start, unless every start panics.
//! - Unknown values are absent, never zero; stale values carry their age. Only `/api/hotspot` has zeros, for existing
//!   consumers.
//! - Secrets are never printed, and personal details are sent to the admin only.

#![warn(clippy::expect_used, clippy::unwrap_used)]

pub mod action;
pub mod agent;
pub mod alert;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod executor;
pub mod history;
pub mod http;
pub mod journal;
pub mod logging;
pub mod memory;
pub mod net;
pub mod notify;
pub mod plugin;
pub mod routeros;
pub mod simulator;
pub mod site;
pub mod state;
pub mod storage;
pub mod text;
pub mod timings;
