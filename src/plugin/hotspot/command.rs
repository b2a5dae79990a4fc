//! The commands for a hotspot: those of a refresh, and those of an action.

use crate::routeros::client::{Command, Limit};

/// Properties of an active session that are shown or measured, in the order of the columns.
pub(super) const SESSION: &str = ".id,user,address,mac-address,server,login-by,uptime,idle-time,session-time-left,\
    bytes-in,bytes-out,comment,limit-bytes-in,limit-bytes-out,limit-bytes-total";

/// Properties of an active session that change all the time, without a change that a `listen` reports: less than half of
/// the bytes. The time left follows from the uptime.
pub(super) const FIGURES: &str = ".id,uptime,idle-time,bytes-in,bytes-out";

/// Properties of a user that are shown. `password` is never among them, because a router sends it in clear.
const USER: &str = ".id,name,server,profile,address,mac-address,comment,limit-uptime,limit-bytes-in,limit-bytes-out,\
    limit-bytes-total,uptime,bytes-in,bytes-out,disabled";

/// Sessions that are queried by their ids: as many whole rows as one packet has.
const MAX_QUERIED: usize = 8;

/// A row of `/ip/hotspot/user` that is not a configured user: RouterOS stores the profile of trials in it.
pub(super) const TRIAL: &str = "default-trial";

fn print_sessions(properties: &str) -> Command {
    Command::new("/ip/hotspot/active/print").proplist(properties)
}

fn print_users(properties: &str) -> Command {
    Command::new("/ip/hotspot/user/print").proplist(properties)
}

/// The commands of a refresh: sessions, the number of users, servers, and the trial's row.
pub(in crate::plugin) fn refresh() -> Vec<Command> {
    vec![
        print_sessions(SESSION),
        count_users(),
        // The servers are queried so that a server without sessions also has its series.
        Command::new("/ip/hotspot/print").proplist("name"),
        // Finds the trial's row, which must not be counted. RouterOS 6.28 ignores queries with `count-only`, but
        // applies them to rows.
        print_users("name").query_equal("name", TRIAL.as_bytes()),
    ]
}

/// The commands of a refresh between two whole ones, while a `listen` reports logins and logouts.
pub(in crate::plugin) fn refresh_figures() -> Vec<Command> {
    vec![print_sessions(FIGURES), count_users()]
}

fn count_users() -> Command {
    Command::new("/ip/hotspot/user/print").attribute("count-only", "")
}

/// The whole rows of the sessions at these ids, or of all if there are many.
pub(super) fn sessions_at(ids: &[&[u8]]) -> Command {
    let all = print_sessions(SESSION);
    if ids.len() > MAX_QUERIED { all } else { with_any_of(all, ids) }
}

/// Counts the active sessions.
pub(in crate::plugin) fn count_sessions() -> Command {
    Command::new("/ip/hotspot/active/print").attribute("count-only", "")
}

/// Reports logins, logouts and changes of sessions as they happen.
pub(in crate::plugin) fn listen() -> Command {
    // `.dead` marks a session that ended. It is not a property, but some versions might omit it if it is not listed.
    Command::new("/ip/hotspot/active/listen").proplist(&format!("{SESSION},.dead"))
}

/// The sessions of a user, by the bytes of its name.
pub fn sessions_of(user: &[u8]) -> Command {
    print_sessions(SESSION).query_equal("user", user)
}

/// The session with this `.id`, whichever user it belongs to.
pub fn session_at(id: &[u8]) -> Command {
    sessions_at(&[id])
}

/// Ends a session.
pub fn remove_session(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/active/remove").attribute(".id", id)
}

/// The cookies by which a user's devices log in again.
pub fn cookies_of(user: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/print").proplist(".id,mac-address").query_equal("user", user)
}

/// Removes a cookie, so that its device has to log in again.
pub fn remove_cookie(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/remove").attribute(".id", id)
}

/// The ids of all configured users, without the trial's row.
pub fn user_ids() -> Command {
    print_users(".id").query_equal("name", TRIAL.as_bytes()).query("?#!")
}

/// All configured users, without the trial's row.
pub fn all_users(limit: Limit) -> Command {
    print_users(USER).query_equal("name", TRIAL.as_bytes()).query("?#!").at_most(limit)
}

/// The users with these ids.
pub fn users(ids: &[&[u8]]) -> Command {
    with_any_of(print_users(USER), ids)
}

/// Selects the rows with these ids.
fn with_any_of(print: Command, ids: &[&[u8]]) -> Command {
    // Each query but the first is combined with those before it.
    ids.iter().enumerate().fold(print, |command, (at, id)| {
        let command = command.query_equal(".id", id);
        if at == 0 { command } else { command.query("?#|") }
    })
}
