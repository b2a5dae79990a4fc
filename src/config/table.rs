//! The table of all fields of `sites.ron`: scope, name, type and range, default, effect of a change and documentation.
//!
//! A new field takes a row here, and a line in the file of its section where the value is used. Those of alerts are in
//! `alerts/rows.rs`. The validator, the defaults, the excerpts in diagnostics and the reference in
//! `docs/configuration.md` follow this table, through `fields`.

use Effect::{InParts, InPlace, LogOut, Rebind, Reconnect, Restart};
use FieldDefault::{Required, RequiredOnSite, Ron, Unset};
use Kind::{Flag, List, Map, Millis, Number, OneOf, Path, SecretOf, Structure, Text};
use Section::{Column, Defaults, File, History, Http, Https, Journal, Metric, Plugin, Site};

/// A structure of the file, or the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    File,
    Http,
    Https,
    /// The defaults of all sites. Each field can also be set on a site.
    Defaults,
    Site,
    Plugin,
    /// A column, whose name is before its fields.
    Column,
    Metric,
    Journal,
    History,
    Alerts,
    /// A rule. Its kind decides which of the fields it has.
    Rule,
    /// A channel. Its service decides which of the fields it has.
    Channel,
    Quiet,
    Heartbeat,
}

impl Section {
    /// The section's place in the file. `*` stands for any key, or any place in a list.
    pub(super) fn path(self) -> &'static str {
        match self {
            File => "",
            Http => "http",
            Https => "http.tls",
            Defaults => "defaults",
            Site => "sites.*",
            Plugin => "plugins.*",
            Column => "plugins.*.columns.*",
            Metric => "plugins.*.metrics.*",
            Journal => "journal",
            History => "history",
            Self::Alerts => "alerts",
            Self::Rule => "alerts.on.*",
            Self::Channel => "alerts.to.*",
            Self::Quiet => "alerts.quiet.*",
            Self::Heartbeat => "alerts.heartbeat",
        }
    }
}

/// The part of a field's row that the validator needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) section: Section,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: FieldDefault,
}

/// The type of a value and its range. `expected` is how a diagnostic names a value that is accepted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// The minimum and the maximum.
    Number(u64, u64),
    /// The minimum and the maximum of a number that may have a fraction and a sign.
    Decimal(i32, i32),
    /// A duration: the shortest and the longest, in milliseconds.
    Millis(u64, u64),
    /// A text: the fewest and the most characters, and `expected`, which is derived from the range if it is empty.
    Text(usize, usize, &'static str),
    /// The path of a file: `expected`.
    Path(&'static str),
    /// One of these words, some of which have a value in brackets: the words and `expected`.
    OneOf(&'static [&'static str], &'static str),
    /// The same for values that contain a secret.
    SecretOf(&'static [&'static str], &'static str),
    /// A list: the fewest and the most values, `expected` of the list and of a value.
    List(usize, usize, &'static str, &'static str),
    /// A nested section.
    Structure,
    /// A map of sections: the most entries and an example.
    Map(usize, &'static str),
}

/// The value of an omitted field.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldDefault {
    /// The field must be there, as in this example.
    Required(&'static str),
    /// The field must be there or on each site, as in this example.
    RequiredOnSite(&'static str),
    /// This value, in RON.
    Ron(&'static str),
    /// A value that can't be written in RON; this text describes it.
    Unset(&'static str),
}

/// How the running agent applies a change of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It applies the new value. All connections stay.
    InPlace,
    /// It logs in to the router again.
    Reconnect,
    /// It binds the new address and releases the old one.
    Rebind,
    /// It logs out the holders of the old token.
    LogOut,
    /// It applies the new value when it is started again.
    Restart,
    /// Each field of the structure, or each entry of the map, has its own effect.
    InParts,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct FieldRow {
    pub(super) field: Field,
    pub(super) effect: Effect,
    /// The type for the reference; if it is empty, it is derived from the kind. For a list it is the type of its
    /// values.
    pub(super) value: &'static str,
    pub(super) meaning: &'static str,
}

pub(super) const fn row(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: FieldDefault,
    effect: Effect,
    value: &'static str,
    meaning: &'static str,
) -> FieldRow {
    FieldRow { field: Field { section, name, kind, default }, effect, value, meaning }
}

/// Where a secret is.
pub(super) const SECRET_WORDS: &[&str] = &["Plain", "Env", "File"];

pub(super) const ANY: usize = usize::MAX;
pub(super) const SECOND: u64 = 1000;
pub(super) const DAY: u64 = 86_400 * SECOND;

// Each row: scope, name, kind and default; then effect, type; then meaning.
#[rustfmt::skip]
pub(super) const ROWS: &[FieldRow] = &[
    row(File, "http", Structure, Unset("its defaults"),
        InParts, "structure", "how the agent itself is reached"),
    row(Http, "listen", Text(0, ANY, "an IP address and a port, such as \"127.0.0.1:8080\""), Ron("\"127.0.0.1:8080\""),
        Rebind, "IP address and port",
        "where the page is; `\"0.0.0.0:8080\"` on every IPv4 address of the machine"),
    row(Http, "title", Text(0, 100, ""), Ron("\"PHSWEB hotspots\""),
        InPlace, "", "the page's heading"),
    row(Http, "view",
        SecretOf(&["Public", "Token"], "Public or Token(Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\"))"), Ron("Public"),
        LogOut, "`Public`, or `Token(…)` of a secret with at least 16 characters",
        "[access to](#access-and-tokens) figures"),
    row(Http, "admin", SecretOf(&["Token"], "Token(Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\"))"), Unset("nobody"),
        LogOut, "`Token(…)` of another such secret",
        "[access to](#access-and-tokens) personal details and actions, such as disconnecting users"),
    row(Http, "tls", Structure, Unset("plain HTTP"),
        InParts, "structure", "[HTTPS](#https-for-the-page)"),
    row(Https, "cert", Path("the path of a PEM file, in quotes"), Required("cert: \"cert.pem\""),
        InPlace, "path of a PEM file", "the certificate, followed by its chain"),
    row(Https, "key", Path("the path of a PEM file, in quotes"), Required("key: \"key.pem\""),
        InPlace, "path of a PEM file", "its private key"),
    // Fewer connections could lock the admin out; each one needs a descriptor.
    row(Http, "max_connections", Number(16, 65_536), Ron("512"),
        InPlace, "", "maximum number of client connections"),
    // Each request's name is compared with all of them.
    row(Http, "hosts",
        List(0, 64, "host names",
             "a host name without a port, such as \"hotspots.example\"; addresses are always accepted"), Ron("[]"),
        InPlace, "host names",
        "the [names that the agent is reached by](#host-names), such as `[\"hotspots.example\"]`"),
    // Each request's address is compared with all of them.
    row(Http, "trusted_proxies",
        List(0, 64, "IP addresses and networks",
             "an IP address or a network, such as \"127.0.0.1\" or \"10.0.0.0/8\""), Ron("[]"),
        InPlace, "addresses and networks",
        "the [proxies in front of the agent](behind-a-proxy.md#client-addresses), such as `[\"127.0.0.1\", \"10.0.0.0/8\"]`"),
    row(File, "defaults", Structure, Unset("its defaults"),
        InParts, "structure", "values for every site that does not override them"),
    row(Defaults, "user", Text(1, ANY, "the name of a RouterOS user, in quotes"),
        RequiredOnSite("user: \"…\", here or in defaults"),
        Reconnect, "text", "the RouterOS user; required on a site if it is not set here"),
    // More than one refresh per second is too much load for a small router. The maxima of all durations only detect a
    // mistyped unit.
    row(Defaults, "refresh", Millis(SECOND, DAY), Ron("\"30s\""),
        InPlace, "", "time between two refreshes"),
    row(Defaults, "connect_timeout", Millis(100, 300 * SECOND), Ron("\"10s\""),
        InPlace, "", "for resolving the router's name and connecting"),
    row(Defaults, "query_timeout", Millis(100, 300 * SECOND), Ron("\"5s\""),
        InPlace, "",
        "how long the router may be silent while a command is open. Then the same connection gets another try, and after \
         the same time again it is closed. An answer that keeps arriving may take 24 times this, at most 2 minutes or this"),
    row(Defaults, "live", Flag, Ron("true"),
        InPlace, "",
        "follow logins as they happen with RouterOS's `listen`; `false` only polls, which costs a small board less"),
    row(Defaults, "collect",
        List(1, ANY, "at least one plugin, such as [\"hotspot\"]", "the name of a plugin, in quotes"),
        Ron("[\"hotspot\", \"resource\", \"health\"]"),
        InPlace, "plugins' names", "the [plugins](plugins.md) that read the router"),
    row(File, "sites", Map(ANY, "{ \"awka\": (hosts: …) }"), Required("sites: { \"awka\": (hosts: [\"10.0.1.1\"], …) }"),
        InParts, "map of sites",
        "the routers, in the order of the page. A key is 1 to 40 letters, digits, `-` and `_`, and not `stats`"),
    row(Site, "name", Text(1, 100, ""), Unset("its key"),
        InPlace, "", "the name on the page"),
    row(Site, "group", Text(1, 100, ""), Unset("none"),
        InPlace, "", "a heading above this site and the others of the group on the page, such as `\"South-East\"`"),
    row(Site, "hosts",
        List(1, ANY, "at least one host, such as [\"10.0.1.1\"]",
             "a host, host:port or [IPv6]:port, such as \"10.0.1.1\" or \"10.0.1.1:8728\""),
        Required("the router's address, such as hosts: [\"10.0.1.1\"]"),
        Reconnect, "`\"host\"`, `\"host:port\"` or `\"[IPv6]:port\"`",
        "addresses of the router, [in the order to try](operations.md#when-a-router-is-away); the default port is 8728, \
         with `tls` 8729. A link-local address has its zone: `\"[fe80::1%eth0]:8728\"`"),
    row(Site, "password", SecretOf(SECRET_WORDS, "Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")"),
        Required("password: Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")"),
        Reconnect, "secret", "the RouterOS user's password"),
    row(Site, "login", OneOf(&["Plain", "Challenge"], "Plain, or Challenge for RouterOS before 6.43"), Ron("Plain"),
        Reconnect, "`Plain` or `Challenge`", "`Challenge`: RouterOS before 6.43"),
    row(Site, "codepage", Text(0, ANY, "one of \"windows-874\" and \"windows-1250\" to \"windows-1258\""),
        Ron("\"windows-1252\""),
        InPlace, "`\"windows-874\"` or `\"windows-1250\"` to `\"windows-1258\"`",
        "how to read [text that is not UTF-8](#text-encodings). If it is set, the user and the password are sent in it, \
         too, as WinBox on Windows stores them; otherwise they are sent in UTF-8"),
    row(Site, "tls",
        OneOf(&["Off", "Pin", "Ca"],
              "Off, Pin(\"sha256:…\") with the 64 hexadecimal digits of the certificate's fingerprint, or Ca(\"ca.pem\")"),
        Ron("Off"),
        Reconnect, "`Off`, `Pin(\"sha256:…\")`, `Pin([\"sha256:…\", …])` or `Ca(\"ca.pem\")`",
        "[TLS to the router](routers.md#tls); a list has a pin for each of `hosts`"),
    row(Site, "alerts", OneOf(&["Off"], "Off, or a list of rules such as [SiteDown(after: \"10m\")]"), Unset("the rules of `alerts.on`"),
        InPlace, "`Off`, or a list of rules",
        "rules that [replace those of the same kind](alerts.md#exceptions-for-a-site) for this site; `Off`: no alerts"),
    // Each plugin causes a command to a router, and a table on a page.
    row(File, "plugins", Map(64, "{ \"leases\": (menu: …) }"), Unset("none"),
        InParts, "plugins",
        "[other menus](plugins.md). A key is like that of a site, and not the name of a built-in plugin; \
         one of the [catalogue](plugins.md#catalogue) is overridden"),
    row(Plugin, "title", Text(1, 100, ""), Unset("its key"),
        InPlace, "", "the heading on the page"),
    // The longest menu of RouterOS has half of this.
    row(Plugin, "menu", Text(1, 100, "a menu's path, such as \"/ip/dhcp-server/lease\""),
        Required("menu: \"/ip/dhcp-server/lease\""),
        InPlace, "text: a menu's path", "such as `\"/ip/dhcp-server/lease\"`"),
    // A router compares each row with each word.
    row(Plugin, "query",
        List(0, 32, "query words, such as [\"status=bound\"]",
             "a query word of 1 to 200 bytes, such as \"status=bound\""), Ron("[]"),
        InPlace, "query words",
        "which rows: [words of the API](plugins.md#menu-and-query), without their `?`, each up to 200 bytes"),
    // More columns are unreadable in a table, and each one adds to the size of every row.
    row(Plugin, "columns",
        List(1, 32, "at least one property, such as [\"address\"]",
             "a property as RouterOS names it, such as \"mac-address\", or (\"rx-byte\", title: \"Received\", unit: Bytes)"),
        Required("columns: [\"address\", \"mac-address\"]"),
        InParts, "properties, or `(\"property\", title: …, unit: …)`", "what is shown, in this order"),
    row(Column, "title", Text(1, 100, ""), Unset("the property's name as words"),
        InPlace, "", "the heading on the page"),
    row(Column, "unit",
        OneOf(&["Text", "Number", "Bytes", "BitsPerSecond", "Percent", "Dbm", "Duration", "Flag"],
              "Text, Number, Bytes, BitsPerSecond, Percent, Dbm, Duration or Flag"),
        Unset("[by the property's name](plugins.md#columns)"),
        InPlace, "`Text`, `Number`, `Bytes`, `BitsPerSecond`, `Percent`, `Dbm`, `Duration` or `Flag`",
        "what the values are: [how they are shown, and their type in JSON](plugins.md#columns)"),
    row(Plugin, "every", Millis(SECOND, DAY), Unset("each refresh"),
        InPlace, "", "how often it is read"),
    row(Plugin, "private", Flag, Unset("true for [menus about people](plugins.md#private-plugins), else false"),
        InPlace, "", "rows for the admin only"),
    // A Prometheus server stores each metric, and each combination of its labels.
    row(Plugin, "metrics", List(0, 16, "metrics, such as [(name: \"…\", kind: Rows)]", ""), Ron("[]"),
        InParts, "metrics", "its [metrics](plugins.md#metrics-of-a-plugin)"),
    row(Metric, "name",
        Text(1, 100, "letters, digits and _, beginning with no digit, up to 100 characters in quotes"),
        Required("name: \"mikrotik_leases\""),
        InPlace, "text, 1 to 100 characters",
        "letters, digits and `_`; not a name of the agent's own, and unique in the file"),
    row(Metric, "kind",
        OneOf(&["Rows", "Gauge", "Counter"],
              "Rows, Gauge(\"column\") or Counter(\"column\"), with a property such as \"bytes-in\""),
        Required("kind: Rows, Gauge(\"column\") or Counter(\"column\")"),
        InPlace, "`Rows`, `Gauge(\"column\")` or `Counter(\"column\")`",
        "the number of rows; the sum of a property; the observed growth of a property"),
    row(Metric, "labels",
        List(0, 8, "properties, such as [\"server\"]", "a property as RouterOS names it, such as \"mac-address\""),
        Ron("[]"),
        InPlace, "properties", "properties whose values distinguish the series"),
    row(File, "journal", Structure, Unset("its defaults"), InParts, "structure or `Off`",
        "the [journal](operations.md#journal) of ended sessions; `Off` keeps none, and erases those it has"),
    // An entry takes 118 bytes: the maximum is a tenth of the memory of the systemd unit.
    row(Journal, "rows", Number(1, 50_000), Ron("10000"), InPlace, "", "maximum number of sessions; the oldest are dropped"),
    row(Journal, "keep", Millis(60 * SECOND, 3652 * DAY + DAY / 2), Ron("\"90days\""), InPlace, "", "how long a session is kept after its end"),
    row(File, "state", Path("the path of a folder, in quotes"), Unset("`$STATE_DIRECTORY`, which systemd sets; `/var/lib/phsweb-agent` if it is a mount; else memory only"),
        Restart, "path of a folder", "where [data that survives a restart](operations.md#stored-data) is"),
    row(File, "history", Structure, Unset("its defaults"), InParts, "structure", "figures over time"),
    row(History, "memory", Text(0, ANY, "a size from 1MiB to 256MiB, such as \"4MiB\""), Ron("\"4MiB\""),
        InPlace, "size, 1MiB to 256MiB", "for the [history](operations.md#history) of all sites together"),
];
