//! The commands for a hotspot: those of a refresh, and those of an action.

use crate::routeros::client::{Command, Limit};

/// Properties of an active session that are shown or measured, in the order of the columns.
pub(super) const SESSION: &str = ".id,user,address,mac-address,server,login-by,uptime,idle-time,session-time-left,\
    bytes-in,bytes-out,comment,limit-bytes-in,limit-bytes-out,limit-bytes-total";

/// Properties of a user that are shown. `password` is never among them, because a router sends it in clear.
const USER: &str = ".id,name,server,profile,address,mac-address,comment,limit-uptime,limit-bytes-in,limit-bytes-out,\
    limit-bytes-total,uptime,bytes-in,bytes-out,disabled";

/// A row of `/ip/hotspot/user` that is not a configured user: RouterOS stores the profile of trials in it.
pub(super) const TRIAL: &str = "default-trial";

fn print_sessions() -> Command {
    Command::new("/ip/hotspot/active/print").proplist(SESSION)
}

fn print_users(properties: &str) -> Command {
    Command::new("/ip/hotspot/user/print").proplist(properties)
}

/// The commands of a refresh: sessions, the number of users, servers, and the trial's row.
pub(in crate::plugin) fn refresh() -> Vec<Command> {
    vec![
        print_sessions(),
        Command::new("/ip/hotspot/user/print").attribute("count-only", ""),
        // The servers are queried so that a server without sessions also has its series.
        Command::new("/ip/hotspot/print").proplist("name"),
        // Finds the trial's row, which must not be counted. RouterOS 6.28 ignores queries with `count-only`, but
        // applies them to rows.
        print_users("name").query_equal("name", TRIAL.as_bytes()),
    ]
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
#[must_use]
pub fn sessions_of(user: &[u8]) -> Command {
    print_sessions().query_equal("user", user)
}

/// The session with this `.id`, whichever user it belongs to.
#[must_use]
pub fn session_at(id: &[u8]) -> Command {
    print_sessions().query_equal(".id", id)
}

/// Ends a session.
#[must_use]
pub fn remove_session(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/active/remove").attribute(".id", id)
}

/// The cookies by which a user's devices log in again.
#[must_use]
pub fn cookies_of(user: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/print").proplist(".id,mac-address").query_equal("user", user)
}

/// Removes a cookie, so that its device has to log in again.
#[must_use]
pub fn remove_cookie(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/remove").attribute(".id", id)
}

/// The ids of all configured users, without the trial's row.
#[must_use]
pub fn user_ids() -> Command {
    print_users(".id").query_equal("name", TRIAL.as_bytes()).query("?#!")
}

/// All configured users, without the trial's row.
#[must_use]
pub fn all_users(limit: Limit) -> Command {
    print_users(USER).query_equal("name", TRIAL.as_bytes()).query("?#!").at_most(limit)
}

/// The users with these ids.
#[must_use]
pub fn users(ids: &[&[u8]]) -> Command {
    // Each query but the first is combined with those before it.
    ids.iter().enumerate().fold(print_users(USER), |command, (at, id)| {
        let command = command.query_equal(".id", id);
        if at == 0 { command } else { command.query("?#|") }
    })
}
