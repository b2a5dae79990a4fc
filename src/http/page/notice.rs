//! Notices about the action that led to a page. The query selects one by a code; text from the query is never shown.

use super::session_list::shorten;
use crate::http::context::Context;

/// Maximum number of sites that a notice names.
const MAX_NAMED: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Ended,
    Forgotten,
    /// The device logged in again.
    Back,
    Refreshed,
    /// The figures are recent enough for a request without a token.
    Recent,
    /// Some sites failed: the query has their keys.
    PartlyRefreshed,
    NotRefreshed,
    Busy,
    Acknowledged,
    NotFiring,
    MuteChanged,
    NotMuted,
}

impl Notice {
    const ALL: [Self; 12] = [
        Self::Ended,
        Self::Forgotten,
        Self::Back,
        Self::Refreshed,
        Self::Recent,
        Self::PartlyRefreshed,
        Self::NotRefreshed,
        Self::Busy,
        Self::Acknowledged,
        Self::NotFiring,
        Self::MuteChanged,
        Self::NotMuted,
    ];

    /// Its code in the query, and its text; that of some depends on the query.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Ended => ("ended", ""),
            Self::Forgotten => ("forgotten", ""),
            Self::Back => ("back", ""),
            Self::Refreshed => ("refreshed", "Refreshed just now."),
            Self::Recent => ("recent", "Not refreshed: the figures are recent."),
            Self::PartlyRefreshed => ("partly", ""),
            Self::NotRefreshed => ("failed", "No answer. The last known figures are shown."),
            Self::Busy => ("busy", "Too many requests at once. Try again in a moment."),
            Self::Acknowledged => {
                ("acknowledged", "Acknowledged. There are no more reminders of this alert.")
            }
            Self::NotFiring => ("not-firing", "Not acknowledged: the alert has ended."),
            Self::MuteChanged => ("mute", "The mute is changed."),
            Self::NotMuted => ("not-muted", "Not muted: choose a site of the list and a time."),
        }
    }

    fn code(self) -> &'static str {
        self.row().0
    }

    /// The query that selects it.
    pub(super) fn query(self) -> String {
        format!("notice={}", self.code())
    }

    fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.code() == code)
    }

    fn text(self, context: &Context) -> String {
        let disconnected = || {
            kicked_user(context)
                .map_or("Session disconnected".into(), |user| format!("{user} was disconnected"))
        };
        match self {
            Self::Ended => disconnected() + ".",
            Self::Forgotten => disconnected() + ". The device must log in again.",
            Self::Back => {
                disconnected()
                    + ", but the device is online again: it logs in automatically with a cookie. To keep it out, \
                       disconnect it again and have the device forgotten."
            }
            Self::PartlyRefreshed => failed_sites(context),
            _ => self.row().1.into(),
        }
    }
}

/// A path with a query and a notice's query.
pub(super) fn path(path: &str, query: String, notice: Option<String>) -> String {
    let parts: Vec<String> = notice.into_iter().chain([query]).filter(|part| !part.is_empty()).collect();
    let mark = if parts.is_empty() { "" } else { "?" };
    format!("{path}{mark}{}", parts.join("&"))
}

/// The query of a notice about a session that was disconnected.
pub(super) fn kicked_query(notice: Notice, site: &str, id: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("notice", notice.code()).append_pair("on", site).append_pair("kicked", id).finish()
}

/// The user whose session the query names, if it was disconnected a moment ago: for the admin.
fn kicked_user(context: &Context) -> Option<String> {
    let parameter = |name| context.request.parameter(name);
    let site = context.snapshot.site(&parameter("on")?).filter(|_| context.is_admin())?;
    let user = site.kicked_user(&parameter("kicked")?, context.now)?;
    Some(shorten(user.into()).into())
}

/// The query of [`Notice::PartlyRefreshed`], with the keys of failed sites.
pub(super) fn failed_query(answered: usize, failed: &[&str]) -> String {
    let named = &failed[..failed.len().min(MAX_NAMED)];
    format!("notice={}&answered={answered}&failed={}", Notice::PartlyRefreshed.code(), named.join(","))
}

/// `4 of 8 sites answered. Failed: Enugu, Jos and 2 more`. The names are those of configured sites.
fn failed_sites(context: &Context) -> String {
    let count = context.snapshot.sites.len();
    let keys = context.request.parameter("failed").unwrap_or_default();
    let sites = keys.split(',').take(MAX_NAMED).filter_map(|key| context.snapshot.site(key));
    let names: Vec<&str> = sites.map(|site| site.name.as_str()).collect();
    let unnamed = count.saturating_sub(names.len());
    let answered = context.request.parameter("answered").and_then(|number| number.parse().ok()).unwrap_or(0);
    let answered = unnamed.min(answered);
    let more = match unnamed - answered {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{answered} of {count} sites answered. Failed: {}{more}", names.join(", "))
}

/// The text of the notice that the request selects; empty if none.
pub(super) fn text(context: &Context) -> String {
    let notice = context.request.parameter("notice").and_then(|code| Notice::of(&code));
    notice.map(|notice| notice.text(context)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_has_its_own_code() {
        for notice in Notice::ALL {
            assert_eq!(Notice::of(notice.code()), Some(notice));
        }
        assert_eq!(Notice::of("<b>anything</b>"), None);
    }
}
