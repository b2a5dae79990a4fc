//! The rules: their defaults.

use std::time::Duration;

use super::{AlertCondition, AlertRule, Figure, Threshold, Weekdays};

const MINUTE: Duration = Duration::from_secs(60);

/// The rules of a file without `on`.
pub(super) fn defaults() -> Vec<AlertRule> {
    use AlertCondition::{
        Above, CertificateExpires, ClockWrong, ConfigRejected, LoginsRefused, PluginFailing, Rebooted,
        SiteDown,
    };
    let above = |figure, limit, clear| Above(Threshold { figure, limit, clear });
    [
        (SiteDown, 90),
        (Rebooted, 0),
        (PluginFailing, 600),
        (above(Figure::PoolUsed, 90.0, 80.0), 300),
        (above(Figure::LicenceUsed, 90.0, 80.0), 300),
        (above(Figure::CpuLoad, 90.0, 75.0), 900),
        (above(Figure::Temperature, 75.0, 70.0), 900),
        (ClockWrong(5 * MINUTE), 900),
        (CertificateExpires(14 * 24 * 60 * MINUTE), 0),
        (ConfigRejected, 60),
        (LoginsRefused, 0),
    ]
    .map(|(condition, after)| AlertRule {
        condition,
        after: Duration::from_secs(after),
        between: None,
        days: Weekdays::ALL,
    })
    .into()
}
