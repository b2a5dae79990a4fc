//! The phsweb-agent: who is online on MikroTik hotspots at many sites, and how the routers are.
//!
//! One process at a site, or above many of them. It logs in to each router over the RouterOS
//! API, keeps what it learns in memory, and serves a page and JSON from that.
//!
//! # The house
//!
//! In reading order; each uses only what stands below it in the second list.
//!
//! | module | its subject |
//! | --- | --- |
//! | [`routeros`] | the API and nothing about hotspots: `wire`, `value`, `codepage`, `login`, `connect` and `tls`, `client` (with `command`, `exchange`, `listen`), `error` |
//! | [`plugin`] | what to ask a router and what its answer says: `hotspot`, `resource`, `health`, and what the file has `declared` |
//! | [`state`] | what is known, since when: readings, the snapshot of all sites, how the last re-read went. No I/O |
//! | [`action`] | what can be asked of a site beside what is known: refresh, kick, users, test |
//! | [`config`] | `sites.ron`: read, checked whole, each problem with its place; `fields` names them all, `syntax` says what is wrong in a text that is no RON, `watch` sees it change, `changes` says what is other |
//! | [`site`] | a task a site: choose a host, connect, ask, follow, wait, get well; `schedule` says what is due, `errands` are what somebody wants of it, `walk` tries the way step by step; `sites` starts and ends them as the file says |
//! | [`http`] | the gate, the workers behind it, who may come in, the routes; JSON in `api`, HTML in `page`, Prometheus's text in `metrics`, what changes in `events` |
//! | [`simulator`] | a simulated router, for `demo`, `simulate`, `--simulate` and every test |
//! | `cli` | the command line, part of the program: arguments, help, and one file for each command |
//! | [`agent`] | the running agent: its parts wired together, configuration reloads, the listener, signals, restart after a panic |
//! | [`logging`] | log lines through a queue, so that no reader of them holds up anybody; `limit` keeps clients from flooding the log |
//! | [`clock`] | moments that stay right when the wall's clock is set |
//! | [`memory`] | the memory budget: how much may be kept of what routers say, for all sites together |
//! | [`executor`] | the thread that runs all tasks |
//! | [`text`] | text from elsewhere, as a terminal or a log may show it |
//! | [`timings`] | the intervals of all policies, which tests shorten |
//!
//! ```text
//! cli → agent → { http, site } → { action, config, state } → plugin → routeros
//! cli → simulator → routeros::wire alone
//! { agent, http } → logging
//! http never sees a client: what it shows is a pure function of a request and a snapshot, and what must be
//! asked of a router goes as an order to the site's task
//! ```
//!
//! A test holds these arrows against the `use` lines.
//!
//! # The data's ways
//!
//! - router → `wire::Decoder` → `Client` (by tag) → a plugin's `read` → a new `Arc<Snapshot>` → page, JSON
//! - router → `listen` → `site::follow` → a plugin's `follow`, which counts each login once → a new `Arc<Snapshot>`
//! - `sites.ron` → `Watch` → parse → check → `Changes` → `site::Sites`, the gate's `ServerHandle` and the routes: what is
//!   as it was is not touched, and what is wrong changes nothing but what the page says of it
//! - a router's trap → `exchange` collects → `command::Reply` → `error::Trap` → the plugin's reading, or the site's
//! - client → gate (whole requests only) → worker → route → answer from the last snapshot
//! - POST → route → `action::SiteHandles` → the site's task → router → read back → a new `Arc<Snapshot>`, and the answer
//! - a new `Arc<Snapshot>` → `http::events`, which renders each change once → gate → all who follow
//!
//! # Threads
//!
//! The main one runs the gate, the executor's runs the sites and the events and receives signals, two to four
//! answer requests, one runs TLS handshakes where the page is HTTPS, and one writes the log. Nothing waits for a router
//! to answer a GET, and no lock is held over I/O. Answers that may be megabytes are rendered one at a time.
//!
//! A panic in any of them, also in one of a crate's, is a mistake. None is caught, and nothing unwinds: the program
//! says where it was and takes its own place, as the same process with the same arguments, and learns anew what it
//! knew.
//!
//! # What never happens
//!
//! - A router, browser or file makes the process end, or grow past a bound that a constant names.
//! - A mistake in this program stops it for longer than it takes to start, unless each start ends in one.
//! - A value that is not known shows as zero: it is absent, and an old one carries its age. Only
//!   `/api/hotspot` has zeros, for consumers that were there before.
//! - A secret is printed, or details of people leave for anyone but the admin.

#![warn(clippy::expect_used, clippy::unwrap_used)]

pub mod action;
pub mod agent;
pub mod clock;
pub mod config;
pub mod executor;
pub mod http;
pub mod logging;
pub mod memory;
pub mod plugin;
pub mod routeros;
pub mod simulator;
pub mod site;
pub mod state;
pub mod text;
pub mod timings;
