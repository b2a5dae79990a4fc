//! What is asked of a hotspot when somebody wants it: one session, its end, the configured users.

use super::user::USER;
use super::{SESSION, TRIAL};
use crate::routeros::client::Command;

/// The sessions of a user, by the bytes of its name.
#[must_use]
pub fn sessions_of(user: &[u8]) -> Command {
    Command::new("/ip/hotspot/active/print").proplist(&SESSION).query_equal("user", user)
}

/// The session of this `.id`, whoever has it.
#[must_use]
pub fn session_at(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/active/print").proplist(&SESSION).query_equal(".id", id)
}

/// Ends a session.
#[must_use]
pub fn remove_session(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/active/remove").attribute(".id", id)
}

/// The cookies by which a user's devices log in again.
#[must_use]
pub fn cookies_of(user: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/print").proplist(&[".id", "mac-address"]).query_equal("user", user)
}

/// Makes a device log in anew.
#[must_use]
pub fn remove_cookie(id: &[u8]) -> Command {
    Command::new("/ip/hotspot/cookie/remove").attribute(".id", id)
}

/// The ids of all configured users, the trial's row left out.
#[must_use]
pub fn user_ids() -> Command {
    let all = Command::new("/ip/hotspot/user/print").proplist(&[".id"]);
    all.query_equal("name", TRIAL.as_bytes()).query("?#!")
}

/// The users of these ids, without their passwords, which a router gives in clear to who asks.
#[must_use]
pub fn users(ids: &[&[u8]]) -> Command {
    let all = Command::new("/ip/hotspot/user/print").proplist(&USER);
    // Each but the first is joined to those before it.
    ids.iter().enumerate().fold(all, |command, (at, id)| {
        let command = command.query_equal(".id", id);
        if at == 0 { command } else { command.query("?#|") }
    })
}
