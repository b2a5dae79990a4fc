//! What went wrong with a router, as its operator must see it: a cause to
//! sort by, what was found, and what to do.

use std::{fmt, io};

use super::wire;
use crate::text::visible;

/// Longest text of a router that an error repeats, in characters. It goes to the page, the
/// JSON and the log; RouterOS's own messages have a tenth of it.
const MAX_TOLD: usize = 200;

/// What the message of a refusal begins with.
const SAID: &str = "the router said: ";

/// Stands for what the router said.
const UNTOLD: &str = "the router's answer is shown to the admin";

/// A message, unless it has the router's own words in it.
#[must_use]
pub fn without_words(message: &str) -> &str {
    if message.starts_with(SAID) { UNTOLD } else { message }
}

/// Why a router's answer did not come. The names are those of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The host's name has no address.
    Dns,
    /// The address answers, the port does not.
    Refused,
    /// No way to the address.
    Unreachable,
    /// Nothing answered within `connect_timeout`.
    ConnectTimeout,
    /// The router ended the connection.
    Closed,
    /// The TLS handshake failed, or the certificate is not to be trusted.
    Tls,
    /// The router's `api-ssl` has no certificate.
    TlsNoCertificate,
    /// The router has another certificate than the pinned one.
    TlsPin,
    /// The login was refused.
    Auth,
    /// The login is good but may not do this.
    Permission,
    /// This router has no such menu or property.
    Unsupported,
    /// Nothing came from the router for `query_timeout` while a command had no answer.
    QueryTimeout,
    /// What came is no RouterOS API, or more of it than is taken.
    Protocol,
    /// The router's uptime shows a reboot, or a login is refused after it refused connections a moment ago.
    Rebooting,
}

impl Cause {
    /// The name in JSON, `/metrics` and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Closed => "closed",
            Self::Tls => "tls",
            Self::TlsNoCertificate => "tls_no_certificate",
            Self::TlsPin => "tls_pin",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Unsupported => "unsupported",
            Self::QueryTimeout => "query_timeout",
            Self::Protocol => "protocol",
            Self::Rebooting => "rebooting",
        }
    }

    /// Whether it comes and goes with the link and the router; the others stay until somebody mends them.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Dns
            | Self::Refused
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::Closed
            | Self::QueryTimeout
            | Self::Rebooting => true,
            Self::Tls
            | Self::TlsNoCertificate
            | Self::TlsPin
            | Self::Auth
            | Self::Permission
            | Self::Unsupported
            | Self::Protocol => false,
        }
    }

    /// What the operator can do, naming the RouterOS command where there is one.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Dns => {
                "Check the name under hosts in sites.ron, or give the router's address instead. On the router: \
                 /ip address print"
            }
            Self::Refused => {
                "The API service may be off or on another port. On the router: /ip service print, \
                 then /ip service enable [find name=api and !dynamic]"
            }
            Self::Unreachable => {
                "Check the link, the VPN and the route to this address. On the router: /ip address print, \
                 /ip route print"
            }
            Self::ConnectTimeout => {
                "The router may be down, or a firewall drops the packets. On the router: \
                 /ip firewall filter print where chain=input"
            }
            Self::Closed => {
                "If this is at every connection, the service may be limited to other addresses or full, or this is \
                 the port of api-ssl, which wants tls: Pin(…) in sites.ron. On the router: \
                 /ip service print detail where name~\"api\", and see port, address (available-from from RouterOS \
                 7.24 on) and, from 7.16 on, max-sessions"
            }
            Self::Tls => {
                "On the router: /ip service print detail where name=api-ssl, and see its certificate and tls-version. \
                 The log may say more: /log print"
            }
            Self::TlsNoCertificate => {
                "Give it one. On the router: /certificate add name=api common-name=router days-valid=3650 \
                 key-usage=digital-signature,key-encipherment,tls-server, then /certificate sign api, then \
                 /ip service set [find name=api-ssl and !dynamic] certificate=api disabled=no. If it has one, it may offer only ciphers \
                 with DHE, which this agent does not speak: upgrade RouterOS, or use tls: Off over a VPN"
            }
            Self::TlsPin => {
                "If the router's certificate was renewed, put the new fingerprint into tls: Pin(…). If it was not, \
                 somebody else answers at this address. On the router: /certificate print detail shows the fingerprint"
            }
            Self::Auth => {
                "Check the user and the password. A user whose group lacks the api policy, or who may log in from \
                 other addresses only, gets the same answer. On the router: /user print detail, /user group print. \
                 login: Challenge is for RouterOS before 6.43, and for no other"
            }
            Self::Permission => {
                "The user's group lacks a policy: read to look, write to end a session. Give the agent a group of its \
                 own. On the router: /user group print, then /user group add name=phsweb-agent policy=api,read \
                 (or api,read,write), then /user set USER group=phsweb-agent"
            }
            Self::Unsupported => {
                "This router's version or packages lack the menu or one of its properties. Leave the plugin \
                 out of collect for this site. On the router: /system package print"
            }
            Self::QueryTimeout => {
                "The router is busy, or the link is slow or interrupted. A longer query_timeout waits for it. On the \
                 router: /system resource monitor"
            }
            Self::Protocol => {
                "Something else may listen on this port. On the router: /ip service print, and give the port \
                 of api under hosts"
            }
            Self::Rebooting => {
                "If it does not come back within a few minutes, check its power and its link. Why it rebooted is in \
                 its log. On the router: /log print where topics~\"system\", and /system resource print shows the uptime"
            }
        }
    }
}

/// A failure of a connection or of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure.
    pub cause: Cause,
    /// What was found, for a person. Holds no secret.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// What the system says when this process, or all of them, have as many files open as they may: `EMFILE`, `ENFILE`.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

impl Error {
    /// An error with its message.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: cause.hint() }
    }

    /// Why a connection could not be made.
    pub(super) fn connecting(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
            let hint = "Each site and each connection to the page takes one. Raise the limit of this process: LimitNOFILE= \
                of the service, or ulimit -n. On the router there is nothing to do";
            return Self {
                hint,
                ..Self::new(Cause::Unreachable, format!("this machine has no more: {error}"))
            };
        }
        let cause = match error.kind() {
            Kind::ConnectionRefused => Cause::Refused,
            Kind::TimedOut => Cause::ConnectTimeout,
            Kind::ConnectionReset | Kind::ConnectionAborted => Cause::Closed,
            _ => Cause::Unreachable,
        };
        Self::new(cause, error.to_string())
    }

    /// A login that the router refused with this message.
    pub(super) fn login_refused(message: String, credentials: [&[u8]; 2]) -> Self {
        const HINT: &str = "The user or the password starts or ends with a space or quote. Files of variables may keep \
            their quotes: remove them unless the router has them, too. On the router: /user print detail";
        let is_odd = |byte: Option<&u8>| byte.is_some_and(|byte| b"\"' \t".contains(byte));
        let error = Self::new(Cause::Auth, message);
        if credentials.iter().any(|text| is_odd(text.first()) || is_odd(text.last())) {
            return Self { hint: HINT, ..error };
        }
        error
    }

    /// What a router sent as the challenge of its login is none, and is not answered.
    pub(super) fn no_challenge() -> Self {
        const HINT: &str = "No password was sent, nor a digest of one. login: Challenge is for RouterOS before 6.43; remove \
            it for later versions. Otherwise something else may answer at this address. On the router: /system resource \
            print, /ip service print";
        let message = "the router sent no challenge of 32 hexadecimal digits to respond to";
        Self { hint: HINT, ..Self::new(Cause::Protocol, message) }
    }

    /// Whether the router answered, and this is what it said.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.message.starts_with(SAID)
    }

    /// The same without the router's own words, which may have people in them.
    #[must_use]
    pub fn without_words(&self) -> Self {
        let mut error = self.clone();
        // An answer that can't be used is described by what is in it.
        if self.cause == Cause::Protocol {
            error.message = UNTOLD.into();
        }
        Self { message: without_words(&error.message).into(), ..error }
    }

    /// Whether the row that a command was about is not there (any more).
    #[must_use]
    pub fn is_missing_item(&self) -> bool {
        self.is_refusal() && self.message.contains("no such item")
    }

    /// A login was answered and nothing larger ever came, as on a path that drops large packets.
    pub(crate) fn only_small_answers(silent: &Self) -> Self {
        const HINT: &str = "The login was answered and nothing after it. If that repeats, the path may drop large packets: \
            lower the MTU of the VPN or the PPPoE link, or on the router: /ip firewall mangle add chain=output \
            protocol=tcp tcp-flags=syn action=change-mss new-mss=1200. If the router is only slow, raise query_timeout";
        Self { hint: HINT, ..silent.clone() }
    }

    /// What came over a plain connection is TLS.
    pub(super) fn speaks_tls() -> Self {
        const HINT: &str =
            "This is api-ssl. Give the site tls: Pin(…), or the port of api, 8728, under hosts";
        Self { hint: HINT, ..Self::new(Cause::Tls, "what answers at this port speaks TLS") }
    }

    /// Why an open connection is of no use any more.
    pub(super) fn lost(error: &io::Error) -> Self {
        Self::new(Cause::Closed, format!("the connection was lost: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.name(), self.message)
    }
}

impl std::error::Error for Error {}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::new(Cause::Protocol, format!("the answer is no RouterOS API: {error}"))
    }
}

/// A `!trap`: the router's answer to a command that it could not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The router's words.
    pub message: String,
}

impl Trap {
    /// What kind of failure the router's words tell. Versions word it differently,
    /// so parts of the text decide, and the number that some of them end with.
    #[must_use]
    pub fn cause(&self) -> Cause {
        const WORDS: [(&str, Cause); 9] = [
            ("no such command", Cause::Unsupported),
            ("unknown parameter", Cause::Unsupported),
            ("not enough permissions", Cause::Permission),
            ("(9)", Cause::Permission),
            ("invalid user name or password", Cause::Auth),
            ("cannot log in", Cause::Auth),
            ("(6)", Cause::Auth),
            ("std failure: timeout", Cause::QueryTimeout),
            ("(13)", Cause::QueryTimeout),
        ];
        // A number counts at the end only: a name in the message may hold one, too.
        let says = |words: &str| {
            self.message.contains(words) && (!words.starts_with('(') || self.message.ends_with(words))
        };
        let found = WORDS.iter().find(|(words, _)| says(words));
        found.map_or(Cause::Protocol, |&(_, cause)| cause)
    }
}

/// The failure that these traps tell together; the first decides, for those that
/// follow it only explain.
impl From<&[Trap]> for Error {
    fn from(traps: &[Trap]) -> Self {
        let cause = traps.first().map_or(Cause::Protocol, Trap::cause);
        let error = Self::new(cause, said(traps));
        match cause {
            // It speaks the API well, and only refuses this.
            Cause::Protocol => Self {
                hint: "The router refused the command in these words. Its log may say more. On the router: /log print",
                ..error
            },
            _ => error,
        }
    }
}

/// The words of all traps of an answer.
pub(super) fn said(traps: &[Trap]) -> String {
    let messages: Vec<&str> = traps.iter().map(|trap| trap.message.as_str()).collect();
    format!("{SAID}{}", messages.join("; "))
}

/// A router's words as an error may repeat them: one line, of bounded length.
pub(super) fn told(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { visible(c) });
    let mut told: String = line.take(MAX_TOLD).collect();
    if text.chars().nth(MAX_TOLD).is_some() {
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_map_to_their_cause() {
        for (message, cause) in [
            ("no such command or directory (active)", Cause::Unsupported),
            ("no such command prefix", Cause::Unsupported),
            ("no such command", Cause::Unsupported),
            ("unknown parameter", Cause::Unsupported),
            ("not enough permissions (9)", Cause::Permission),
            ("invalid user name or password (6)", Cause::Auth),
            ("cannot log in", Cause::Auth),
            ("std failure: timeout (13)", Cause::QueryTimeout),
            ("failure: already have such address", Cause::Protocol),
            ("rule (6) is invalid", Cause::Protocol),
        ] {
            assert_eq!(Trap { message: message.into() }.cause(), cause, "{message}");
        }
    }

    #[test]
    fn a_routers_words_stay_one_bounded_line() {
        assert_eq!(told(b"no\r\nsuch\x1b[1m \xff"), "no  such [1m \u{fffd}");
        assert_eq!(told("a\u{202e}b\u{2028}c\u{e0041}".as_bytes()), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(told("ẹ".repeat(MAX_TOLD).as_bytes()), "ẹ".repeat(MAX_TOLD));
        assert_eq!(told("ẹ".repeat(MAX_TOLD + 1).as_bytes()), "ẹ".repeat(MAX_TOLD) + "…");
    }
}
