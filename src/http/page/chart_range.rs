//! The range of the charts on a site's page.

use std::time::Duration;

/// A range that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ChartRange {
    ThreeHours,
    #[default]
    Day,
    TwoDays,
    FiveWeeks,
    Year,
}

impl ChartRange {
    pub(super) const ALL: [Self; 5] =
        [Self::ThreeHours, Self::Day, Self::TwoDays, Self::FiveWeeks, Self::Year];

    /// The range with this name in a query; the default if there is none.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|range| range.name() == name).unwrap_or_default()
    }

    /// Its name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ThreeHours => "3h",
            Self::Day => "24h",
            Self::TwoDays => "48h",
            Self::FiveWeeks => "35d",
            Self::Year => "400d",
        }
    }

    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::ThreeHours => "3 h",
            Self::Day => "24 h",
            Self::TwoDays => "48 h",
            Self::FiveWeeks => "35 d",
            Self::Year => "400 d",
        }
    }

    pub(super) fn duration(self) -> Duration {
        let hours = match self {
            Self::ThreeHours => 3,
            Self::Day => 24,
            Self::TwoDays => 48,
            Self::FiveWeeks => 35 * 24,
            Self::Year => 400 * 24,
        };
        Duration::from_secs(3600 * hours)
    }
}
