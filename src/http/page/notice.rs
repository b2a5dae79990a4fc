//! Notices about the action that led to a page. The query selects one by a code; text from the query is never shown.

use crate::http::context::Context;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Ended,
    Forgotten,
    Back,
    Refreshed,
    Recent,
    PartlyRefreshed,
    NotRefreshed,
    Busy,
}

impl Notice {
    const ALL: [Self; 8] = [
        Self::Ended,
        Self::Forgotten,
        Self::Back,
        Self::Refreshed,
        Self::Recent,
        Self::PartlyRefreshed,
        Self::NotRefreshed,
        Self::Busy,
    ];

    /// Its code in the query.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Forgotten => "forgotten",
            Self::Back => "back",
            Self::Refreshed => "refreshed",
            Self::Recent => "recent",
            Self::PartlyRefreshed => "partly",
            Self::NotRefreshed => "failed",
            Self::Busy => "busy",
        }
    }

    fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.code() == code)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Ended => "The session has ended.",
            Self::Forgotten => "The session has ended, and the device must log in again.",
            Self::Back => {
                "The session has ended, and the device is back already: it logs in by itself through a cookie. \
                 To keep it out, end the session again and have the device forgotten."
            }
            Self::Refreshed => "Asked just now, and answered.",
            Self::Recent => "Nothing was asked: the figures are recent.",
            Self::PartlyRefreshed => "Asked just now. Not every site answered: the cards say why.",
            Self::NotRefreshed => "Asked just now, and there was no answer. What is known stands below.",
            Self::Busy => "Too much is asked at once: try again in a moment.",
        }
    }
}

/// The text of the notice that the request selects; empty if none.
pub(super) fn text(context: &Context) -> String {
    let notice = context.request.parameter("notice").and_then(|code| Notice::of(&code));
    notice.map_or("", Notice::text).into()
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
