//! What a page says of what was just done. A code in the query chooses it: never is a text taken from there.

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Notice {
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

    /// Its code in a query.
    pub(in crate::http) fn code(self) -> &'static str {
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

    /// What has this code.
    pub(in crate::http) fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|said| said.code() == code)
    }

    pub(super) fn in_words(self) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_code_of_its_own() {
        for said in Notice::ALL {
            assert_eq!(Notice::of(said.code()), Some(said));
        }
        assert_eq!(Notice::of("<b>anything</b>"), None);
    }
}
