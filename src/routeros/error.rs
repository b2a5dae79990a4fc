//! Errors of a connection to a router, for its operator: the cause, a message, and how to fix it.

use std::fmt;

use super::wire;
use crate::net;
use crate::net::error::Cause as NetCause;
use crate::net::tls::Tls;
use crate::text::visible;

/// Longest text of a router that an error repeats, in characters. It goes to the page, the JSON and the log; RouterOS's
/// own messages have a tenth of it.
const MAX_QUOTE: usize = 200;

/// Replaces a message that quotes the router, for viewers who are not the admin.
pub(super) const HIDDEN_QUOTE: &str = "the router's answer is shown to the admin";

/// The causes of errors. The JSON has the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The host's name has no address.
    Dns,
    /// The address answers, the port does not.
    Refused,
    /// No route leads to the address.
    Unreachable,
    /// Nothing answered within `connect_timeout`.
    ConnectTimeout,
    /// The router ended the connection.
    Closed,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// The router's `api-ssl` has no certificate.
    TlsNoCertificate,
    /// The router's certificate is not the pinned one.
    TlsPin,
    /// The login was refused.
    Auth,
    /// The user lacks the permission.
    Permission,
    /// This router has no such menu or property.
    Unsupported,
    /// The router sent nothing for `query_timeout` while a command waited for its answer.
    QueryTimeout,
    /// The data is not the RouterOS API, or exceeds a limit.
    Protocol,
    /// The router's uptime shows a reboot, or it refuses a login shortly after it refused connections.
    Rebooting,
}

impl Cause {
    /// The name in JSON, `/metrics` and the log.
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

    /// Whether the cause may disappear on its own, with the state of the link or the router. The others persist until
    /// somebody fixes them.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Dns
                | Self::Refused
                | Self::Unreachable
                | Self::ConnectTimeout
                | Self::Closed
                | Self::QueryTimeout
                | Self::Rebooting
        )
    }

    /// How to fix it, with the RouterOS command if one exists.
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
                "If this happens at every connection, the service may be limited to other addresses or full, or this is \
                 the port of api-ssl, which needs tls: Pin(…) in sites.ron. On the router: \
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
                "The user's group lacks a policy: read to look, write to end a session. Give the agent a separate group. On the router: /user group print, then /user group add name=phsweb-agent policy=api,read \
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
                "If it does not come back within a few minutes, check its power and its link. Its log has the reason. On the router: /log print where topics~\"system\", and /system resource print shows the uptime"
            }
        }
    }
}

/// A failure of a connection or of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure.
    pub cause: Cause,
    /// The message for people, without secrets.
    pub message: String,
    /// How to fix it.
    pub hint: &'static str,
    /// The router's traps, if it refused a command. The message quotes them.
    pub traps: Vec<Trap>,
}

impl Error {
    /// An error with the usual hint of its cause.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: cause.hint(), traps: Vec::new() }
    }

    fn with_hint(cause: Cause, message: impl Into<String>, hint: &'static str) -> Self {
        Self { hint, ..Self::new(cause, message) }
    }

    /// The error of a connection, secured by `tls`, that could not be made.
    pub fn connecting(error: net::error::Error, tls: &Tls) -> Self {
        let net::error::Error { cause, mut message } = error;
        let (cause, hint) = match cause {
            NetCause::Dns => (Cause::Dns, None),
            // The usual hint would enable the API without TLS.
            NetCause::Refused if *tls != Tls::Off => (Cause::Refused, Some(HINT_TLS_REFUSED)),
            NetCause::Refused => (Cause::Refused, None),
            NetCause::Unreachable => (Cause::Unreachable, None),
            NetCause::NoDescriptor => (Cause::Unreachable, Some(HINT_NO_DESCRIPTOR)),
            NetCause::Timeout => (Cause::ConnectTimeout, None),
            NetCause::Closed => (Cause::Closed, None),
            // The port accepts connections: it may belong to a service without TLS.
            NetCause::HandshakeTimeout => (Cause::ConnectTimeout, Some(HINT_NO_TLS)),
            NetCause::HandshakeClosed => (Cause::Closed, Some(HINT_NO_TLS)),
            NetCause::HandshakeRefused => {
                message += ": usually api-ssl has no certificate";
                (Cause::TlsNoCertificate, None)
            }
            NetCause::NoTls => (Cause::Tls, Some(HINT_NO_TLS)),
            NetCause::OldTls => (Cause::Tls, Some(HINT_OLD_TLS)),
            NetCause::Pin => (Cause::TlsPin, None),
            NetCause::NoKey => (Cause::Tls, Some(HINT_NO_KEY)),
            NetCause::WeakCertificate => (Cause::Tls, Some(HINT_WEAK_CERTIFICATE)),
            NetCause::Certificate => (Cause::Tls, Some(HINT_CERTIFICATE)),
            NetCause::Tls => (Cause::Tls, None),
        };
        Self::with_hint(cause, message, hint.unwrap_or(cause.hint()))
    }

    /// The error of a login that the router refused with `error`.
    pub(super) fn login_refused(refused: Self, credentials: [&[u8]; 2]) -> Self {
        const HINT: &str = "The user or the password starts or ends with a space or quote. Files of variables may keep \
            their quotes: remove them unless the router has them, too. On the router: /user print detail";
        let is_odd = |byte: Option<&u8>| byte.is_some_and(|byte| b"\"' \t".contains(byte));
        let has_odd_ends = credentials.iter().any(|text| is_odd(text.first()) || is_odd(text.last()));
        let hint = if has_odd_ends { HINT } else { Cause::Auth.hint() };
        Self { cause: Cause::Auth, hint, ..refused }
    }

    /// The error of a challenge in an unknown form, which is not answered.
    pub(super) fn no_challenge() -> Self {
        const HINT: &str = "The agent sent neither the password nor a digest of it. login: Challenge is for RouterOS before 6.43; remove \
            it for later versions. Otherwise something else may answer at this address. On the router: /system resource \
            print, /ip service print";
        let message = "the router sent no challenge of 32 hexadecimal digits to respond to";
        Self::with_hint(Cause::Protocol, message, HINT)
    }

    /// Whether the router refused the command.
    pub fn is_refusal(&self) -> bool {
        !self.traps.is_empty()
    }

    /// The same without the router's own words, which may contain personal details.
    pub fn without_quote(&self) -> Self {
        // An answer in an unknown form is described by its content.
        if self.is_refusal() || self.cause == Cause::Protocol {
            return Self::with_hint(self.cause, HIDDEN_QUOTE, self.hint);
        }
        self.clone()
    }

    /// Whether the error means that the item of a command does not exist, or no longer exists.
    pub fn is_missing_item(&self) -> bool {
        self.traps.iter().any(|trap| trap.message.contains("no such item"))
    }

    /// The error if the router answered a login, but no larger answer arrived, as on a path that drops large packets.
    pub(crate) fn only_small_answers(silent: &Self) -> Self {
        const HINT: &str = "The router answered the login and then nothing more. If this repeats, the path may drop large packets: \
            lower the MTU of the VPN or the PPPoE link, or on the router: /ip firewall mangle add chain=output \
            protocol=tcp tcp-flags=syn action=change-mss new-mss=1200. If the router is only slow, raise query_timeout";
        Self { hint: HINT, ..silent.clone() }
    }

    /// The error if the peer of a connection without TLS sent TLS.
    pub(super) fn speaks_tls() -> Self {
        const HINT: &str =
            "This is api-ssl. Give the site tls: Pin(…), or the port of api, 8728, under hosts";
        Self::with_hint(Cause::Tls, "the service at this port uses TLS", HINT)
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
        Self::new(Cause::Protocol, format!("the answer is not the RouterOS API: {error}"))
    }
}

/// A `!trap`: the router's answer to a command that it could not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The router's words.
    pub message: String,
}

impl Trap {
    /// The kind of failure. The messages differ by version, so it is detected by parts of the text, and by the number
    /// at the end of some messages.
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
        // A number counts at the end only, because a name in the message may contain one, too.
        let has = |words: &str| {
            self.message.contains(words) && (!words.starts_with('(') || self.message.ends_with(words))
        };
        let found = WORDS.iter().find(|(words, _)| has(words));
        found.map_or(Cause::Protocol, |&(_, cause)| cause)
    }
}

/// The error of a command that the router refused. The first trap decides, because those after it only explain.
impl From<Vec<Trap>> for Error {
    fn from(traps: Vec<Trap>) -> Self {
        const HINT: &str = "The router refused the command with this message. Its log may have more details. On the router: /log print";
        let cause = traps.first().map_or(Cause::Protocol, Trap::cause);
        // The router speaks the API and refuses only this command.
        let hint = if cause == Cause::Protocol { HINT } else { cause.hint() };
        Self { cause, message: quote(&traps), hint, traps }
    }
}

/// An error message that quotes the router's traps.
pub(super) fn quote(traps: &[Trap]) -> String {
    let messages: Vec<&str> = traps.iter().map(|trap| trap.message.as_str()).collect();
    format!("the router reports: {}", messages.join("; "))
}

/// Sanitizes a router's text for an error: one line of bounded length.
pub(super) fn sanitize(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { visible(c) });
    let mut sanitized: String = line.take(MAX_QUOTE).collect();
    if text.chars().nth(MAX_QUOTE).is_some() {
        sanitized.push('…');
    }
    sanitized
}

const HINT_NO_DESCRIPTOR: &str = "Each site and each connection to the page takes one. Raise the limit of this process: \
    LimitNOFILE= of the service, or ulimit -n. On the router there is nothing to do";

const HINT_OLD_TLS: &str = "Upgrade RouterOS: /system package update install. Until then use tls: Off with the plain \
    api over a VPN or a management network. On RouterOS 6: /ip service set api-ssl tls-version=only-1.2";

const HINT_NO_TLS: &str = "api-ssl listens at 8729 unless set otherwise, and api, at 8728, does not use TLS; \
    either may be limited to other addresses, or api-ssl be without a certificate. On the router: \
    /ip service print detail where name~\"api\"";

const HINT_TLS_REFUSED: &str = "The service may be off or on another port. On the router: /ip service print, then \
    /ip service enable [find name=api-ssl and !dynamic], which needs a certificate: /ip service print detail where name=api-ssl";

const HINT_NO_KEY: &str = "Somebody else may answer at this address with a copy of the router's certificate. \
    Check which device has this address, along the path and on the router: /ip address print";

const HINT_WEAK_CERTIFICATE: &str = "Give the router another. On it: /certificate add name=api2 common-name=router \
    key-size=2048 days-valid=3650 key-usage=digital-signature,key-encipherment,tls-server, then \
    /certificate sign api2, then /ip service set [find name=api-ssl and !dynamic] certificate=api2, and its fingerprint into tls: Pin(…)";

const HINT_CERTIFICATE: &str = "A certificate that the router signed itself is best pinned: tls: Pin(\"sha256:…\") \
    with the fingerprint of /certificate print detail. For Ca, sign one with the host's name or address in \
    subject-alt-name, and an RSA key of 2048 bits or more";

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
    fn quotes_of_a_router_are_one_line_of_bounded_length() {
        assert_eq!(sanitize(b"no\r\nsuch\x1b[1m \xff"), "no  such [1m \u{fffd}");
        assert_eq!(sanitize("a\u{202e}b\u{2028}c\u{e0041}".as_bytes()), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(sanitize("ẹ".repeat(MAX_QUOTE).as_bytes()), "ẹ".repeat(MAX_QUOTE));
        assert_eq!(sanitize("ẹ".repeat(MAX_QUOTE + 1).as_bytes()), "ẹ".repeat(MAX_QUOTE) + "…");
    }
}
