//! The internal plugins: figures of each router with a hotspot that need no configuration.
//!
//! They are not in `collect` and not among a site's plugins. A failure is shown next to the figures that it makes
//! unknown, and nowhere else.

mod clock;
mod license;
mod pools;

use std::time::Duration;

use super::answer::{Answer, first};
use super::context::ReadContext;
use crate::routeros::client::Command;
use crate::routeros::error::Error;
pub use clock::SystemClock;
pub use license::License;
pub use pools::{PoolUse, pool_used};

/// An internal plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Internal {
    /// The router's date, time and UTC offset.
    Clock,
    /// How many addresses of the hotspots' pools are taken.
    Pools,
    /// The license, which limits the hotspot's users.
    License,
}

/// The data of an internal plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum InternalData {
    /// The router's date and time.
    Clock(SystemClock),
    /// The pools that hotspot servers name, in their order.
    Pools(Vec<PoolUse>),
    /// The license.
    License(License),
}

impl Internal {
    /// All internal plugins.
    pub const ALL: [Self; 3] = [Self::Clock, Self::Pools, Self::License];

    /// The name and the title.
    pub(super) fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::Clock => ("clock", "Clock"),
            Self::Pools => ("pools", "Address pools"),
            Self::License => ("license", "License"),
        }
    }

    /// The interval between reads.
    pub(super) fn every(self) -> Duration {
        Duration::from_secs(match self {
            // The offset changes twice a year, and a license hardly ever.
            Self::Clock | Self::License => 3600,
            Self::Pools => 60,
        })
    }

    pub(super) fn commands(self) -> Vec<Command> {
        match self {
            Self::Clock => vec![clock::command()],
            Self::Pools => pools::commands(),
            Self::License => vec![license::command()],
        }
    }

    /// Reads the answers to [`Self::commands`].
    pub(super) fn read(self, answers: &[Answer], context: &ReadContext) -> Result<InternalData, Error> {
        Ok(match self {
            Self::Clock => InternalData::Clock(clock::read(first(answers)?, context)),
            Self::Pools => InternalData::Pools(pools::read(answers, context)?),
            Self::License => InternalData::License(license::read(first(answers)?, context)),
        })
    }
}
