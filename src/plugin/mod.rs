//! Plugins: the commands to a router, and how to read and measure the answers.
//!
//! A plugin is a list of commands and a pure function from their answers to [`Data`]. It knows neither connections nor
//! schedules: a site sends the commands of all its plugins together, and each plugin succeeds or fails on its own.
//! [`BUILT_IN`] needs no configuration; [`declared`] plugins come from `sites.ron`; [`internal`] plugins run on their own.
//!
//! | file | its subject |
//! | --- | --- |
//! | `hotspot/`, `resource`, `health`, `declared/` | one plugin each: its commands, its data, its metrics |
//! | `internal/` | the internal plugins: clock, address pools, license |
//! | `data` | the data of any plugin |
//! | `context`, `answer`, `table`, `property`, `metric`, `limits` | what all plugins use |

mod answer;
mod context;
mod data;
pub mod declared;
mod health;
pub mod hotspot;
pub mod internal;
mod limits;
mod metric;
mod property;
mod resource;
mod table;

use std::sync::Arc;
use std::time::Duration;

use crate::routeros::client::Command;
use crate::routeros::error::Error;

pub use answer::{Answer, Partial, partial};
pub use context::{Following, ReadContext};
pub use data::Data;
pub use declared::{Declaration, Listing};
pub use health::{Health, Quantity, Sensor};
pub use hotspot::{Counts, Hotspot, Quota, Rates, Session, Used, User};
pub use internal::Internal;
pub use limits::MAX_ID;
pub use metric::{Family, Labels, MetricKind, RESERVED, is_reserved};
pub use property::{Property, Typed, Unit};
pub use resource::Resource;
pub use table::Table;

/// The plugins that need no configuration. A site runs these unless the file says otherwise.
pub const BUILT_IN: [Plugin; 3] = [Plugin::Hotspot, Plugin::Resource, Plugin::Health];

/// The commands to a router, and how to read the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plugin {
    /// Sessions and users of the hotspot.
    Hotspot,
    /// The router's version, load and memory.
    Resource,
    /// Temperatures, voltages, fans.
    Health,
    /// Any menu, as the file declares it.
    Declared(Arc<Declaration>),
    /// Figures that need no configuration, and are no plugin of the site.
    Internal(Internal),
}

impl Plugin {
    /// The built-in plugin with this name.
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.into_iter().find(|plugin| plugin.name() == name)
    }

    /// The internal plugins that run besides these plugins of a site.
    pub fn internal(plugins: &[Self]) -> impl Iterator<Item = Self> {
        let has_hotspot = plugins.contains(&Self::Hotspot);
        Internal::ALL.into_iter().filter(move |_| has_hotspot).map(Self::Internal)
    }

    /// Whether it is an internal plugin.
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Internal(_))
    }

    /// The name, the title, and whether the rows are private.
    fn description(&self) -> (&str, &str, bool) {
        match self {
            Self::Hotspot => ("hotspot", "Hotspot", true),
            Self::Resource => ("resource", "Router", false),
            Self::Health => ("health", "Health", false),
            Self::Declared(declared) => (&declared.name, &declared.title, declared.private),
            Self::Internal(internal) => {
                let (name, title) = internal.description();
                (name, title, false)
            }
        }
    }

    /// The name in `collect`, in paths and in `/metrics`.
    pub fn name(&self) -> &str {
        self.description().0
    }

    /// The heading on the page.
    pub fn title(&self) -> &str {
        self.description().1
    }

    /// Whether the rows have personal details, which only the admin may see.
    pub fn private(&self) -> bool {
        self.description().2
    }

    /// The interval between reads; `None`: at each of the site's refreshes.
    pub fn every(&self) -> Option<Duration> {
        if let Self::Internal(internal) = self { Some(internal.every()) } else { self.declaration()?.every }
    }

    /// The declaration in the file, unless the plugin is built in.
    pub fn declaration(&self) -> Option<&Declaration> {
        if let Self::Declared(declaration) = self { Some(declaration) } else { None }
    }

    /// A column of its rows, as declared or as the name suggests.
    pub fn property(&self, name: &str) -> Property {
        let declared =
            self.declaration().and_then(|its| its.columns.iter().find(|column| column.name == name));
        declared.cloned().unwrap_or_else(|| name.into())
    }

    /// The commands of one refresh, which are sent in one write.
    pub fn commands(&self) -> Vec<Command> {
        match self {
            Self::Hotspot => hotspot::command::refresh(),
            Self::Resource => vec![resource::command()],
            Self::Health => vec![health::command()],
            Self::Declared(declaration) => vec![declaration.command()],
            Self::Internal(internal) => internal.commands(),
        }
    }

    /// The commands of a refresh after this data, while a `listen` reports changes: those for the figures that it does not
    /// report. `None` if everything must be queried.
    pub fn figures(&self, previous: &Data) -> Option<Vec<Command>> {
        previous
            .hotspot()
            .filter(|hotspot| hotspot.is_complete())
            .map(|_| hotspot::command::refresh_figures())
    }

    /// The command that counts the rows of the first of [`Self::commands`], where a check of that list is worthwhile.
    pub fn count(&self) -> Option<Command> {
        (*self == Self::Hotspot).then(hotspot::command::count_sessions)
    }

    /// Reads the answers, in the order of [`Self::commands`], or of [`Self::figures`] and [`Hotspot::lacking`], after the
    /// `previous` data from this router. An absent or malformed property is unknown and does not cause an error.
    ///
    /// # Errors
    ///
    /// The error of the answer that the plugin requires.
    pub fn read(
        &self,
        answers: &[Answer],
        previous: Option<&Data>,
        context: &ReadContext,
    ) -> Result<Data, Error> {
        Ok(match self {
            Self::Hotspot => {
                Data::Hotspot(hotspot::read(answers, previous.and_then(Data::hotspot), context)?.into())
            }
            Self::Resource => Data::Resource(resource::read(answers, context)?.into()),
            Self::Health => Data::Health(health::read(answers, context)?),
            Self::Declared(declaration) => {
                let previous = previous.and_then(Data::listing);
                Data::Listing(declared::read(declaration, answers, previous, context)?.into())
            }
            Self::Internal(internal) => Data::Internal(internal.read(answers, context)?),
        })
    }

    /// The part of `data`, read under an `earlier` declaration of this plugin, that still holds.
    pub fn inherit(&self, data: &Data, earlier: &Self) -> Option<Data> {
        let listing = declared::inherit(self.declaration()?, data.listing()?, earlier.declaration()?)?;
        Some(Data::Listing(listing.into()))
    }

    /// The `listen` command that reports changes between the answers, where there is one.
    pub fn listen(&self) -> Option<Command> {
        (*self == Self::Hotspot).then(hotspot::command::listen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_found_by_its_own_name() {
        for plugin in BUILT_IN {
            assert_eq!(Plugin::built_in(plugin.name()), Some(plugin));
        }
        assert_eq!(Plugin::built_in("leases"), None);
    }
}
