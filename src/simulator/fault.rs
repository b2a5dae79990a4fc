//! The faults that a simulated router can have.

use std::fmt;
use std::str::FromStr;

/// Defines [`Fault`] from one entry per fault: its documentation, `Variant = name: description`.
macro_rules! faults {
    ($($(#[doc = $doc:literal])* $fault:ident = $name:literal: $description:literal,)*) => {
        /// A failure of the connection, the replies or the router itself. It applies to all connections of the router, including
        /// open ones, until another fault or none is set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])* $fault,)*
        }

        impl Fault {
            /// All faults.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$fault),*];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }

            /// One line that describes the effect.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$fault => $description,)*
                }
            }
        }
    };
}

faults! {
    /// Connections are accepted and never answered.
    Stall = "stall": "accepts connections and never answers",
    /// Connections are accepted and closed at once.
    Refuse = "refuse": "accepts connections and closes them at once",
    /// The port is closed, and so are open connections. When the fault ends, the same port is opened again.
    NoService = "no-service": "closes the port and all connections",
    /// The router reboots when this is set and every 20 s after that: connections end, uptime starts at
    /// zero and nobody is online. For 2 s new connections are closed at once, and for 2 s more every login is
    /// refused as if the password were wrong. The last part is inferred, no trace has it: the service starts
    /// before the users are loaded.
    Reboot = "reboot": "reboots at once and every 20 s: closed for 2 s, then refuses logins for 2 s",
    /// Every login is refused as if the password were wrong; existing logins stay. A real router does the
    /// same for a user whose group lacks the `api` policy.
    LoginRefused = "login-refused": "refuses every login as if the password were wrong",
    /// The next login is refused as if the password were wrong, later ones are not. RouterOS 7 does so now
    /// and then without a reboot.
    LoginRefusedOnce = "login-refused-once": "refuses one login as if the password were wrong",
    /// Commands are answered with 64 KiB of random bytes, then the connection is closed.
    Garbage = "garbage": "answers with random bytes and closes the connection",
    /// Commands are answered with a word length of 2 GiB and nothing after it.
    HugeLength = "huge-length": "answers with a word length of 2 GiB and nothing more",
    /// Logins are answered; the reply to any other command stops in the middle of a word, and the connection
    /// is closed.
    Cut = "cut": "answers logins, then stops in the middle of a word and closes",
    /// Logins are answered; any other command gets a `!fatal` with its reason as a bare word, and the
    /// connection is closed.
    Fatal = "fatal": "answers logins, then every command with !fatal, and closes",
    /// Logins are answered, and nothing after that: as if the router had vanished from the network.
    HalfOpen = "half-open": "answers logins and nothing after that",
    /// Every reply is late by [`Settings::late_by`](super::Settings::late_by). A patient client tolerates it.
    Late = "late": "answers everything 7 s late; harmless to a patient client",
    /// Replies are late during the first half of each [`Settings::late_every`](super::Settings::late_every).
    LateAtTimes = "late-at-times": "answers 7 s late during 12 s of every 24 s; harmless",
    /// A connection gets at most [`Settings::trickle`](super::Settings::trickle) bytes per second. A patient
    /// client tolerates it.
    Trickle = "trickle": "sends at most 3000 bytes per second; harmless to a patient client",
    /// A reply that needs more than one packet never arrives, and nothing after it over that connection: the
    /// path silently drops large packets.
    LargeLost = "large-lost": "never delivers a reply larger than one packet",
    /// Everything is sent, one byte per write.
    OneByteWrites = "one-byte-writes": "sends one byte per write",
    /// A print repeats its rows until the fault ends.
    EndlessRows = "endless-rows": "repeats the rows of a print and never ends",
    /// A print is answered with one sentence whose words never end.
    EndlessWords = "endless-words": "answers a print with one row that never ends",
    /// Sentences with unknown tags precede the reply to a command, for as long as the fault lasts.
    UnknownTags = "stray": "sends replies with unknown tags without end",
    /// Rows vanish during a print: half of them are sent, then `no such item`.
    Vanish = "vanish": "loses its rows during a print: sends half of them, then no such item",
    /// The last row of a print of several rows is omitted without a trap. A count is correct.
    OmittedRow = "omitted-row": "omits the last row of a list, but counts it",
    /// Some rows of a print are sent again after its `!done`. A good client tolerates it.
    Trailing = "trailing": "sends some rows again after the end; harmless",
    /// Bare `!re` with a tag only are sent between the rows of a print. A good client tolerates it.
    BareRe = "bare-re": "sends empty rows between the rows; harmless",
    /// Rows of a print have a comment in windows-1252 with `=`, line ends and a NUL, an unknown upper-case
    /// key, and lack some keys. A good client tolerates it.
    AwkwardValues = "awkward-values": "sends odd bytes and odd keys, and omits keys; harmless",
    /// Logins are answered; every other command is not permitted.
    NoPermission = "no-permission": "answers logins, and permits nothing after that",
    /// Logins are answered; no menu exists.
    NoMenu = "no-menu": "answers logins, and has no menu",
    /// `listen` does not exist.
    NoListen = "no-listen": "does not know listen",
    /// A `listen` is accepted and never reports a change.
    SilentListen = "silent-listen": "accepts a listen and never reports a change",
    /// A `listen` reports changes half a second late, in order, so that a print overtakes it.
    LateListen = "late-listen": "reports changes to a listen half a second late",
    /// `api-ssl` has no certificate: each handshake ends with the alert `handshake_failure`, as a client sees
    /// it that does not support anonymous Diffie-Hellman. Without TLS it has no effect.
    NoCertificate = "no-certificate": "ends TLS handshakes, as without a certificate",
    /// New TLS connections get another certificate, and open ones are closed so that the client sees it.
    /// Without TLS it has no effect.
    OtherCertificate = "other-certificate": "changes its TLS certificate",
    /// The hotspot's pool has no free address: all addresses of its ranges are used, nobody can log in, and nobody
    /// leaves. A good client tolerates it.
    Pool = "pool": "has no free address in the hotspot's pool; harmless",
    /// The date and the time are two hours slow. A good client tolerates it.
    Clock = "clock": "has a clock that is two hours slow; harmless",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Fault::ALL.map(Fault::name);
        let distances = names.iter().map(|name| (strsim::damerau_levenshtein(name, &self.0), name));
        match distances.filter(|(distance, name)| *distance <= name.len().div_ceil(3)).min() {
            Some((_, name)) => write!(f, "{:?} is not a fault; did you mean `{name}`?", self.0),
            None => write!(f, "{:?} is not a fault; expected one of {}", self.0, names.join(", ")),
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
    fn every_fault_is_parsed_from_its_name() {
        let mut names: Vec<_> = Fault::ALL.map(Fault::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn unknown_name_suggests_the_nearest() {
        let error = |name: &str| name.parse::<Fault>().unwrap_err().to_string();
        assert_eq!(error("stal"), "\"stal\" is not a fault; did you mean `stall`?");
        assert_eq!(error("endless-row"), "\"endless-row\" is not a fault; did you mean `endless-rows`?");
        let all = error("on fire");
        assert!(Fault::ALL.iter().all(|fault| all.contains(fault.name())), "{all}");
    }
}
