//! What goes wrong between a router and its client, on purpose: the catalogue.

use std::fmt;
use std::str::FromStr;

/// A way for the connection or the answers to go wrong. It holds for every connection of the
/// router, those that are open too, until another one or none is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted, and nothing is ever said.
    Stall,
    /// Connections are accepted and closed at once.
    Refuse,
    /// Nobody listens at the port, and open connections are closed. When it ends, the same port is
    /// listened at again.
    NoService,
    /// The router reboots when this is set, and every 20 s from then on: connections end, uptime
    /// begins at zero and nobody is online. For 2 s new connections are closed at once, and for 2 s
    /// more every login is refused as if the password were wrong. That last part is an inference,
    /// nobody has traced it: the service is up before the users are loaded.
    Reboot,
    /// Every login is refused as if the password were wrong; who is logged in stays so. It is also
    /// what a router does for a user whose group lacks the `api` policy.
    LoginRefused,
    /// The next login is refused as if the password were wrong, and those after it are not. RouterOS 7 does so now and
    /// then without a reboot.
    LoginRefusedOnce,
    /// Commands are answered with 64 KiB of random bytes, then the connection is closed.
    Garbage,
    /// Commands are answered with a word's length of 2 GiB, and nothing after it.
    HugeLength,
    /// Logins are answered; the answer to a command stops in the middle of a word and the
    /// connection is closed.
    Cut,
    /// Logins are answered; any other command by a `!fatal` with its reason as a bare word, and the
    /// connection is closed.
    Fatal,
    /// Logins are answered, and nothing after that: as if the router had gone without a word.
    HalfOpen,
    /// Every answer comes late, by [`Settings::late_by`](super::Settings::late_by). A patient client minds none of it.
    Late,
    /// Answers are late during the first half of each [`Settings::late_every`](super::Settings::late_every).
    LateAtTimes,
    /// At most [`Settings::trickle`](super::Settings::trickle) bytes a second are sent over a connection. A patient
    /// client minds none of it.
    Trickle,
    /// An answer that needs more than one packet never arrives, and nothing after it over that connection: the path drops
    /// large packets without a word.
    LargeLost,
    /// Everything is said, one byte a write.
    OneByteWrites,
    /// A print repeats its rows and does not end before the fault does.
    EndlessRows,
    /// A print is answered by one sentence whose words never end.
    EndlessWords,
    /// Before the answer to a command come sentences with tags that nobody asked for, for as long
    /// as the fault lasts.
    Stray,
    /// Rows vanish while they are printed: half of them come, then `no such item`.
    Vanish,
    /// The last row of a print of several is left out, and nothing says so. A count is right.
    OmittedRow,
    /// After the `!done` of a print some of its rows come again. A good client minds none of it.
    Trailing,
    /// Between the rows of a print come bare `!re`, with the tag and nothing else. A good client
    /// minds none of it.
    BareRe,
    /// Rows of a print are as people make them: a comment in windows-1252, with `=`, line ends and
    /// a NUL, an upper-case key that nobody asked for, and some keys not there at all. A good
    /// client minds none of it.
    AwkwardValues,
    /// Logins are answered; the user may not do anything else.
    NoPermission,
    /// Logins are answered; no menu is there.
    NoMenu,
    /// `listen` is no command.
    NoListen,
    /// A `listen` is taken and never tells anything.
    SilentListen,
    /// What a `listen` tells comes half a second late, in its order, so that a print overtakes it.
    LateListen,
    /// `api-ssl` has no certificate: it ends each handshake by the alert `handshake_failure`, as it
    /// looks to a client that does not speak anonymous Diffie-Hellman. Without TLS it is nothing.
    NoCertificate,
    /// New TLS connections get another certificate, and open ones are closed so that the client has
    /// to look at it. Without TLS it is nothing.
    OtherCertificate,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 31] = [
        Self::Stall,
        Self::Refuse,
        Self::NoService,
        Self::Reboot,
        Self::LoginRefused,
        Self::LoginRefusedOnce,
        Self::Garbage,
        Self::HugeLength,
        Self::Cut,
        Self::Fatal,
        Self::HalfOpen,
        Self::Late,
        Self::LateAtTimes,
        Self::Trickle,
        Self::LargeLost,
        Self::OneByteWrites,
        Self::EndlessRows,
        Self::EndlessWords,
        Self::Stray,
        Self::Vanish,
        Self::OmittedRow,
        Self::Trailing,
        Self::BareRe,
        Self::AwkwardValues,
        Self::NoPermission,
        Self::NoMenu,
        Self::NoListen,
        Self::SilentListen,
        Self::LateListen,
        Self::NoCertificate,
        Self::OtherCertificate,
    ];

    /// The name it is chosen by.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// One line that says what happens.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Stall => ("stall", "accepts connections and never says anything"),
            Self::Refuse => ("refuse", "accepts connections and closes them at once"),
            Self::NoService => ("no-service", "listens no more, and closes what is open"),
            Self::Reboot => ("reboot", "reboots at once and every 20 s: away 2 s, no logins for 2 s more"),
            Self::LoginRefused => ("login-refused", "refuses every login as if the password were wrong"),
            Self::LoginRefusedOnce => {
                ("login-refused-once", "refuses one login as if the password were wrong")
            }
            Self::Garbage => ("garbage", "answers with random bytes and closes"),
            Self::HugeLength => ("huge-length", "answers with a word's length of 2 GiB and nothing more"),
            Self::Cut => ("cut", "answers logins, then stops in the middle of a word and closes"),
            Self::Fatal => ("fatal", "answers logins, then everything with !fatal, and closes"),
            Self::HalfOpen => ("half-open", "answers logins and nothing after that"),
            Self::Late => ("late", "answers everything 7 s late; harmless to a patient client"),
            Self::LateAtTimes => ("late-at-times", "answers 7 s late during 12 s of every 24 s; harmless"),
            Self::Trickle => ("trickle", "sends at most 3000 bytes a second; harmless to a patient client"),
            Self::LargeLost => ("large-lost", "never delivers an answer larger than one packet"),
            Self::OneByteWrites => ("one-byte-writes", "answers one byte a write"),
            Self::EndlessRows => ("endless-rows", "repeats the rows of a print and never ends"),
            Self::EndlessWords => ("endless-words", "answers a print with one row that never ends"),
            Self::Stray => ("stray", "answers with tags that nobody asked for, without end"),
            Self::Vanish => ("vanish", "loses its rows while it prints: half of them, then no such item"),
            Self::OmittedRow => ("omitted-row", "leaves the last row out of a list, and counts it"),
            Self::Trailing => ("trailing", "says some rows again after the end; harmless"),
            Self::BareRe => ("bare-re", "says rows of nothing between the rows; harmless"),
            Self::AwkwardValues => ("awkward-values", "odd bytes, odd keys and lacking keys; harmless"),
            Self::NoPermission => ("no-permission", "answers logins, and allows nothing after that"),
            Self::NoMenu => ("no-menu", "answers logins, and has no menu"),
            Self::NoListen => ("no-listen", "does not know listen"),
            Self::SilentListen => ("silent-listen", "takes a listen and never tells anything"),
            Self::LateListen => ("late-listen", "tells what a listen tells half a second late"),
            Self::NoCertificate => ("no-certificate", "ends TLS handshakes: there is no certificate"),
            Self::OtherCertificate => ("other-certificate", "has another certificate than before for TLS"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no [`Fault`] has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Fault::ALL.map(Fault::name);
        let near = names.iter().map(|name| (strsim::damerau_levenshtein(name, &self.0), name));
        match near.filter(|(distance, name)| *distance <= name.len().div_ceil(3)).min() {
            Some((_, name)) => write!(f, "{:?} is no fault; did you mean `{name}`?", self.0),
            None => write!(f, "{:?} is no fault; expected one of {}", self.0, names.join(", ")),
        }
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_own_name() {
        let mut names: Vec<_> = Fault::ALL.map(Fault::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn another_name_tells_the_nearest() {
        let told = |name: &str| name.parse::<Fault>().unwrap_err().to_string();
        assert_eq!(told("stal"), "\"stal\" is no fault; did you mean `stall`?");
        assert_eq!(told("endless-row"), "\"endless-row\" is no fault; did you mean `endless-rows`?");
        let all = told("on fire");
        assert!(Fault::ALL.iter().all(|fault| all.contains(fault.name())), "{all}");
    }
}
