//! The rows of the field table for alerts.

use super::types::AlertFigure;
use crate::config::table::Effect::{InParts, InPlace};
use crate::config::table::FieldDefault::{Required, Ron, Unset};
use crate::config::table::Kind::{self, Decimal, List, Map, Millis, OneOf, SecretOf, Structure, Text};
use crate::config::table::Section::{Alerts, Channel, File, Heartbeat, Quiet, Rule};
use crate::config::table::{DAY, FieldRow, SECOND, SECRET_WORDS, row};

/// A word, the fields that it requires, and those that it allows.
pub(in crate::config) type Variant = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The kinds of rules with their fields.
pub(in crate::config) const RULES: &[Variant] = &[
    ("SiteDown", &[], &["after", "between", "days"]),
    ("Rebooted", &[], &[]),
    ("PluginFailing", &[], &["after", "between", "days"]),
    ("Above", &["figure", "limit"], &["clear", "after", "between", "days"]),
    ("Below", &["figure", "limit"], &["clear", "after", "between", "days"]),
    ("ClockWrong", &[], &["by", "after", "between", "days"]),
    ("CertificateExpires", &[], &["within"]),
    ("ConfigRejected", &[], &["after"]),
    ("LoginsRefused", &[], &[]),
];

/// The services of channels with their fields.
pub(in crate::config) const SERVICES: &[Variant] = &[
    ("Webhook", &["url"], &["headers", "secret", "body", "ca"]),
    ("Telegram", &["token", "chat"], &["ca"]),
    ("Ntfy", &["url"], &["token", "ca"]),
    ("Slack", &["url"], &["ca"]),
    ("Discord", &["url"], &["ca"]),
    ("Alertmanager", &["url"], &["ca"]),
];

/// The words of the figures.
const FIGURE_WORDS: &[&str] = &{
    let mut words = [""; AlertFigure::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = AlertFigure::ALL[at].word();
        at += 1;
    }
    words
};

const URL: Kind = SecretOf(
    SECRET_WORDS,
    "a URL in quotes, or Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\") with a URL",
);
const TRUST: Kind = OneOf(&["System", "File", "Pin"], "System, File(\"ca.pem\") or Pin(\"sha256:…\")");
const TRUST_VALUE: &str = "`System`, `File(\"ca.pem\")` or `Pin(\"sha256:…\")`";

// Each row: scope, name, kind and default; then effect, type; then meaning.
#[rustfmt::skip]
pub(in crate::config) const ROWS: &[FieldRow] = &[
    row(File, "alerts", Structure, Unset("its defaults, without channels"),
        InParts, "structure", "[alerts](alerts.md): what is reported, and to whom"),
    // Each rule is compared with each reading of each site.
    row(Alerts, "on", List(0, 64, "rules, such as [SiteDown(after: \"90s\")]", "a rule, such as SiteDown(after: \"90s\")"),
        Unset("[the built-in rules](alerts.md#built-in-rules)"),
        InPlace, "rules",
        "`SiteDown`, `Rebooted`, `PluginFailing`, `Above`, `Below`, `ClockWrong`, `CertificateExpires`, `ConfigRejected` or \
         `LoginsRefused`, each with [its fields](alerts.md#rules) in round brackets"),
    row(Rule, "after", Millis(0, 7 * DAY), Unset("[depends on the rule](alerts.md#rules)"),
        InPlace, "", "how long the condition must last"),
    row(Rule, "figure", OneOf(FIGURE_WORDS, "CpuLoad, MemoryUsed, Temperature, ActiveUsers, PoolUsed or LicenceUsed"),
        Unset("required with `Above` and `Below`"),
        InPlace, "`CpuLoad`, `MemoryUsed`, `Temperature`, `ActiveUsers`, `PoolUsed` or `LicenceUsed`",
        "percent, degrees Celsius, or users"),
    row(Rule, "limit", Decimal(-273, 1_000_000), Unset("required with `Above` and `Below`"),
        InPlace, "", "the alert fires beyond it"),
    row(Rule, "clear", Decimal(-273, 1_000_000), Unset("[a distance from the limit](alerts.md#rules)"),
        InPlace, "", "the alert resolves there"),
    row(Rule, "between", OneOf(&[], "two times of the day, such as (\"08:00\", \"22:00\")"), Unset("all day"),
        InPlace, "`(\"HH:MM\", \"HH:MM\")`", "only within these hours, in the router's local time"),
    row(Rule, "days", List(1, 7, "weekdays, such as [\"Mon\", \"Tue\"]", "\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\" or \"Sun\""),
        Unset("all days"), InPlace, "weekdays", "only on these days, in the router's local time"),
    row(Rule, "by", Millis(SECOND, 365 * DAY + DAY / 4), Unset("`\"5m\"`"),
        InPlace, "", "with `ClockWrong`: the difference that is accepted"),
    row(Rule, "within", Millis(3600 * SECOND, 365 * DAY + DAY / 4), Unset("`\"14days\"`"),
        InPlace, "", "with `CertificateExpires`: how long before the end"),
    // Each notification is sent to all of them.
    row(Alerts, "to", Map(16, "{ \"ops\": Ntfy(url: …) }"), Unset("none: alerts are only shown on the page"),
        InPlace, "channels",
        "where messages are sent: `Webhook`, `Telegram`, `Ntfy`, `Slack`, `Discord` or `Alertmanager`, each with \
         [its fields](channels.md#services). A key is like that of a site"),
    row(Channel, "url", URL, Unset("required, except with `Telegram`"),
        InPlace, "URL, or a secret with one", "the address of the service; with `Alertmanager` without `/api/v2/alerts`"),
    row(Channel, "token", SecretOf(SECRET_WORDS, "Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")"),
        Unset("required with `Telegram`"), InPlace, "secret", "with `Telegram`: the bot's token; with `Ntfy`: an access token"),
    row(Channel, "chat", Text(1, 100, ""), Unset("required with `Telegram`"),
        InPlace, "", "with `Telegram`: the identifier of the chat, such as `\"-1001234\"`"),
    row(Channel, "headers", Map(16, "{ \"X-Key\": Env(\"KEY\") }"), Unset("none"),
        InPlace, "texts or secrets", "with `Webhook`: additional headers"),
    row(Channel, "secret", SecretOf(SECRET_WORDS, "Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")"), Unset("no signature"),
        InPlace, "secret", "with `Webhook`: the key of the HMAC-SHA-256 in `X-Signature`"),
    row(Channel, "body", Text(1, 4096, ""), Unset("[JSON](channels.md#webhook)"),
        InPlace, "", "with `Webhook`: a template of the body"),
    row(Channel, "ca", TRUST, Unset("the authorities of well-known services"),
        InPlace, TRUST_VALUE, "which [certificates of the server](channels.md#certificates-and-proxies) are trusted"),
    row(Alerts, "remind", Millis(60 * SECOND, 30 * DAY), Unset("no reminders"),
        InPlace, "", "time between reminders of an alert that nobody acknowledged"),
    row(Alerts, "quiet", List(0, 8, "quiet hours, such as [(from: \"22:00\", to: \"07:00\")]", ""), Ron("[]"),
        InPlace, "quiet hours", "[when nothing is sent](alerts.md#quiet-hours)"),
    row(Quiet, "from", Text(5, 5, "a time of the day, such as \"22:00\""), Required("from: \"22:00\""),
        InPlace, "`\"HH:MM\"`", "their start, in the local time of most routers"),
    row(Quiet, "to", Text(5, 5, "a time of the day, such as \"07:00\""), Required("to: \"07:00\""),
        InPlace, "`\"HH:MM\"`", "their end, possibly on the next day"),
    row(Alerts, "heartbeat", Structure, Unset("none"),
        InParts, "structure", "a [monitor of the agent](channels.md#heartbeat)"),
    row(Heartbeat, "url", URL, Required("url: \"https://…\""),
        InPlace, "URL, or a secret with one", "what to request"),
    row(Heartbeat, "every", Millis(10 * SECOND, DAY), Ron("\"1m\""),
        InPlace, "", "how often"),
    row(Heartbeat, "ca", TRUST, Unset("the authorities of well-known services"),
        InPlace, TRUST_VALUE, "as for a channel"),
];
