//! Why a session ended.

/// The reason for the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The admin disconnected it through this agent.
    Kicked,
    /// The router was rebooted.
    Reboot,
    /// Its time was used up.
    TimeLimit,
    /// Its traffic was used up.
    TrafficLimit,
    /// The device sent nothing for the idle timeout.
    Idle,
    /// The device did not respond within the keepalive timeout.
    Keepalive,
    /// The user logged out.
    User,
    /// An administrator or another program ended it at the router.
    Admin,
    /// The device lost its DHCP lease.
    Dhcp,
    /// The router's log has another reason.
    Other,
}

impl Reason {
    /// All reasons: the name in JSON, the words on the page, and the text of RouterOS's log after `logged out: `. In an
    /// encoded entry, a reason is its place here plus one, so new ones are added at the end.
    const ALL: [(Self, &'static str, &'static str, &'static str); 10] = [
        (Self::Kicked, "kicked", "disconnected here", ""),
        (Self::Reboot, "reboot", "router rebooted", "nas reboot"),
        (Self::TimeLimit, "time_limit", "time used up", "session timeout"),
        (Self::TrafficLimit, "traffic_limit", "traffic used up", "traffic limit reached"),
        (Self::Idle, "idle", "idle", "idle timeout"),
        (Self::Keepalive, "keepalive", "device gone", "keepalive timeout"),
        (Self::User, "user", "logged out", "user request"),
        (Self::Admin, "admin", "disconnected at the router", "admin reset"),
        (Self::Dhcp, "dhcp", "lost DHCP lease", "lost dhcp lease"),
        (Self::Other, "other", "other", ""),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(reason, ..)| *reason == self).map_or("", |(_, name, ..)| name)
    }

    /// The words on the page.
    pub fn title(self) -> &'static str {
        Self::ALL.iter().find(|(reason, ..)| *reason == self).map_or("", |(_, _, title, _)| title)
    }

    /// The reason with this text in RouterOS's log.
    pub(super) fn from_log(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let known = Self::ALL.iter().find(|(.., logged)| !logged.is_empty() && text.starts_with(logged));
        known.map_or(Self::Other, |(reason, ..)| *reason)
    }

    /// The byte of a reason; 0 if there is none.
    pub(super) fn encode(reason: Option<Self>) -> u8 {
        let place = reason.and_then(|reason| Self::ALL.iter().position(|(known, ..)| *known == reason));
        place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0)
    }

    /// The reason of a byte. A reason of a later version is [`Reason::Other`].
    pub(super) fn decode(byte: u8) -> Option<Self> {
        let place = usize::from(byte).checked_sub(1)?;
        Some(Self::ALL.get(place).map_or(Self::Other, |(reason, ..)| *reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_follows_from_the_text_of_the_log() {
        for (text, expected) in [
            ("keepalive timeout", "keepalive"),
            (" User Request ", "user"),
            ("session timeout", "time_limit"),
            ("traffic limit reached", "traffic_limit"),
            ("idle timeout", "idle"),
            ("admin reset", "admin"),
            ("lost dhcp lease", "dhcp"),
            ("", "other"),
            ("something of a later version", "other"),
        ] {
            assert_eq!(Reason::from_log(text).name(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_reason_is_decoded_as_it_was_encoded() {
        for (reason, ..) in Reason::ALL {
            assert_eq!(Reason::decode(Reason::encode(Some(reason))), Some(reason));
        }
        assert_eq!(Reason::decode(Reason::encode(None)), None);
        assert_eq!(Reason::decode(200), Some(Reason::Other));
    }
}
