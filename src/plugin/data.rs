//! The data of any plugin, and all operations on it that do not depend on the plugin.

use std::borrow::Cow;

use super::context::ReadContext;
use super::declared::Listing;
use super::health::Health;
use super::hotspot::Hotspot;
use super::internal::InternalData;
use super::limits;
use super::metric::Family;
use super::resource::Resource;
use super::table::Table;
use crate::routeros::error::Error;
use crate::routeros::rows::Rows;

/// The data of a plugin. What is large is boxed: each site has several, and most are small.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Sessions and users.
    Hotspot(Box<Hotspot>),
    /// The router's version, load and memory.
    Resource(Box<Resource>),
    /// Temperatures, voltages, fans.
    Health(Health),
    /// The rows of a declared plugin.
    Listing(Box<Listing>),
    /// Figures of an internal plugin, which has no rows and no metrics of its own.
    Internal(InternalData),
}

impl Data {
    /// The hotspot, if this is one.
    pub fn hotspot(&self) -> Option<&Hotspot> {
        if let Self::Hotspot(hotspot) = self { Some(hotspot) } else { None }
    }

    /// The resources, if these are some.
    pub fn resource(&self) -> Option<&Resource> {
        if let Self::Resource(resource) = self { Some(resource) } else { None }
    }

    /// The sensors, if these are some.
    pub fn health(&self) -> Option<&Health> {
        if let Self::Health(health) = self { Some(health) } else { None }
    }

    /// The listing, if this is one.
    pub fn listing(&self) -> Option<&Listing> {
        if let Self::Listing(listing) = self { Some(listing) } else { None }
    }

    /// The figures, if they are of an internal plugin.
    pub fn internal(&self) -> Option<&InternalData> {
        if let Self::Internal(internal) = self { Some(internal) } else { None }
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        match self {
            Self::Hotspot(_) => Hotspot::columns(),
            Self::Resource(resource) => resource.table().columns,
            Self::Health(health) => health.table().columns,
            Self::Listing(listing) => listing.table.columns.clone(),
            Self::Internal(_) => Vec::new(),
        }
    }

    /// The rows. Each is made when it is taken, because there may be thousands.
    pub fn rows(&self) -> Box<dyn Iterator<Item = Cow<'_, [Option<String>]>> + '_> {
        let made = |table: Table| Box::new(table.rows.into_iter().map(Into::into));
        match self {
            Self::Hotspot(hotspot) => Box::new(hotspot.sessions.iter().map(|session| session.row().into())),
            Self::Resource(resource) => made(resource.table()),
            Self::Health(health) => made(health.table()),
            Self::Listing(listing) => Box::new(listing.table.rows.iter().map(Into::into)),
            Self::Internal(_) => Box::new(std::iter::empty()),
        }
    }

    /// Upper bound of the length of a declared plugin's series in `/metrics`, in bytes.
    pub fn series_length(&self) -> usize {
        self.listing().map_or(0, Listing::series_length)
    }

    /// The data as metrics: gauges of this data, and counters of everything until now.
    pub fn families(&self) -> Vec<Family> {
        match self {
            Self::Hotspot(hotspot) => hotspot.families(),
            Self::Resource(resource) => resource.families(),
            Self::Health(health) => health.families(),
            Self::Listing(listing) => listing.families(),
            Self::Internal(_) => Vec::new(),
        }
    }

    /// The reason why the data is partial, if it is.
    pub fn incomplete(&self) -> Option<String> {
        match self {
            // Servers above a limit share a series, so none is missing.
            Self::Hotspot(hotspot) => limits::left_out(hotspot.left_out),
            Self::Listing(listing) => listing.incomplete(),
            Self::Health(health) => health.incomplete(),
            Self::Resource(_) | Self::Internal(_) => None,
        }
    }

    /// Bytes of memory that it takes.
    pub fn cost(&self) -> usize {
        match self {
            Self::Hotspot(hotspot) => hotspot.cost(),
            Self::Health(health) => health.cost(),
            Self::Listing(listing) => listing.cost(),
            // A few short texts.
            Self::Resource(_) | Self::Internal(_) => 0,
        }
    }

    /// The first rows, up to `max_bytes` bytes, and a message that says so. `None` if this data is never truncated.
    pub fn truncated(&self, max_bytes: usize) -> Option<(Self, String)> {
        let truncated = match self {
            Self::Hotspot(hotspot) => Self::Hotspot(hotspot.truncated(max_bytes).into()),
            Self::Health(health) => Self::Health(health.truncated(max_bytes)),
            Self::Listing(listing) => Self::Listing(listing.truncated(max_bytes).into()),
            Self::Resource(_) | Self::Internal(_) => return None,
        };
        let rows = |data: &Self| match data {
            Self::Hotspot(hotspot) => hotspot.sessions.len(),
            Self::Health(health) => health.sensors.len(),
            Self::Listing(listing) => listing.table.rows.len(),
            Self::Resource(_) | Self::Internal(_) => 0,
        };
        let (kept, all) = (rows(&truncated), rows(self));
        Some((truncated, format!("{kept} of {all} rows are kept: the agent has no memory for more")))
    }

    /// The data after changes that a `listen` reported or the agent made itself; `None` if no plugin follows this data.
    ///
    /// # Errors
    ///
    /// If the data would exceed its limits. The connection is then unusable.
    pub fn follow(&self, changes: &Rows, context: &ReadContext) -> Result<Option<Self>, Error> {
        let Self::Hotspot(hotspot) = self else { return Ok(None) };
        let mut hotspot = hotspot.clone();
        hotspot.apply(changes, context)?;
        Ok(Some(Self::Hotspot(hotspot)))
    }

    /// Whether the last answer and the changes of a `listen` disagree, so that another read soon is worthwhile.
    pub fn has_discrepancy(&self) -> bool {
        self.hotspot().is_some_and(Hotspot::has_discrepancy)
    }

    /// The number of changes that only an answer revealed, although a `listen` should have reported them.
    pub fn missed_events(&self) -> u64 {
        self.hotspot().map_or(0, |hotspot| hotspot.missed_events)
    }
}
