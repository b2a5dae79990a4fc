//! Plugins: what to ask a router, and what the answer says.
//!
//! A plugin is its commands and a pure function from their answers to [`Data`]. It knows
//! no connection and no schedule: a site asks all of its plugins together, and each
//! succeeds or fails on its own. [`BUILT_IN`] lists the ones that need no configuration;
//! [`declared`] are those that the file declares.

pub mod declared;
mod health;
pub mod hotspot;
mod lengths;
mod metric;
mod resource;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::routeros::client::{Command, Reply};
use crate::routeros::codepage::Codepage;
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;

pub use declared::{Declaration, Declared, Listing};
pub use health::{Health, Quantity, Sensor};
pub use hotspot::{Hotspot, Session, Used, User};
pub use lengths::MAX_ID;
pub use metric::{Family, Kind, Labels, OWN, is_own};
pub use resource::Resource;

/// What to ask a router and how to read the answers.
pub trait Plugin: Send + Sync {
    /// The name in `collect`, in paths and in `/metrics`.
    fn name(&self) -> &str;

    /// What a person calls it, as a heading.
    fn title(&self) -> &str;

    /// Whether the rows tell of people, and so are for the admin only.
    fn private(&self) -> bool;

    /// How often it is read; nothing where that is with each of the site's refreshes.
    fn every(&self) -> Option<Duration> {
        None
    }

    /// What the file says of it, where it is declared there.
    fn declaration(&self) -> Option<&Declaration> {
        None
    }

    /// The commands of one refresh; they leave in one write.
    fn commands(&self) -> Vec<Command>;

    /// The command that counts the rows which the first of [`Plugin::commands`] lists, where that is worth a check.
    fn count(&self) -> Option<Command> {
        None
    }

    /// What the answers say; they stand in the order of [`Plugin::commands`]. A property
    /// that is absent or malformed is not known; it is no reason to fail.
    ///
    /// # Errors
    ///
    /// That of the answer without which there is nothing to say.
    fn read(&self, answers: &[Answer], context: &Context) -> Result<Data, Error>;

    /// What this plugin may go on from, of what it `read` when it was declared in another way.
    fn inherit(&self, _read: &Data, _declared: &Declaration) -> Option<Data> {
        None
    }

    /// The `listen` that tells what changes between the answers, where there is one.
    fn listen(&self) -> Option<Command> {
        None
    }

    /// What the data is after these changes, which the `listen` told; `None` where it stays as it was.
    ///
    /// # Errors
    ///
    /// When the changes make more of it than is taken: the connection is of no use any more.
    fn follow(&self, _changes: &[Sentence], _context: &Context) -> Result<Option<Data>, Error> {
        Ok(None)
    }
}

impl fmt::Debug for dyn Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({})", self.name())
    }
}

/// A built-in one is known by its name; a declared one is another where anything of it is declared otherwise.
impl PartialEq for dyn Plugin {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.declaration() == other.declaration()
    }
}

/// A router's answer to one command, or why there is none.
pub type Answer = Result<Reply, Error>;

/// The answer to the first command, for a plugin that can say nothing without it.
fn first(answers: &[Answer]) -> Result<&Reply, Error> {
    match answers.first() {
        Some(answer) => answer.as_ref().map_err(Clone::clone),
        None => Err(Error::new(Cause::Protocol, "nothing was asked")),
    }
}

/// Why answers are only a part of the truth, where they are: the router stopped, there is more than is
/// taken, or one of them did not come. A plugin that does without its first answer is not incomplete.
#[must_use]
pub fn partial(answers: &[Answer]) -> Option<String> {
    let replies = || answers.iter().filter_map(|answer| answer.as_ref().ok());
    let failed = || answers.iter().skip(1).find_map(|answer| answer.as_ref().err());
    replies().find_map(Reply::partial).or_else(|| failed().map(|error| error.message.clone()))
}

/// What a plugin may know beside the answers.
#[derive(Debug)]
pub struct Context<'a> {
    /// When the answers or changes came.
    pub now: Moment,
    /// How long the answers took: what they say may be as old.
    pub took: Duration,
    /// How to show text that is not UTF-8.
    pub codepage: &'static Codepage,
    /// What this plugin read before, from this router.
    pub previous: Option<&'a Data>,
    /// Whether changes are told beside the answers.
    pub following: Following<'a>,
}

impl Context<'_> {
    /// The context of a first answer, which came at once.
    #[must_use]
    pub fn new(now: Moment, codepage: &'static Codepage) -> Self {
        Self { now, took: Duration::ZERO, codepage, previous: None, following: Following::No }
    }
}

/// Whether a menu's changes are told, by a `listen`, beside the answers.
#[derive(Debug, Clone, Copy)]
pub enum Following<'a> {
    /// They are not. What is not in an answer any more is gone.
    No,
    /// Since just before this was asked; these came until its answer.
    Begun(&'a [Sentence]),
    /// Since before an earlier answer; what came until now has been applied.
    On,
}

/// What a plugin has read.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Who is online.
    Hotspot(Hotspot),
    /// The router's version, load and memory.
    Resource(Resource),
    /// Temperatures, voltages, fans.
    Health(Health),
    /// What a declared plugin asks for.
    Listing(Listing),
}

/// Rows under named columns, as the page and the JSON show any plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, RouterOS's own where it has one.
    pub columns: Vec<String>,
    /// As many cells as columns in each row; `None` where the router said nothing.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Data {
    /// The data as rows and columns.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Self::Hotspot(hotspot) => hotspot.table(),
            Self::Resource(resource) => resource.table(),
            Self::Health(health) => health.table(),
            Self::Listing(listing) => listing.table.clone(),
        }
    }

    /// The columns of [`Self::table`].
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        match self {
            Self::Hotspot(_) => Hotspot::columns(),
            Self::Listing(listing) => listing.table.columns.clone(),
            Self::Resource(_) | Self::Health(_) => self.table().columns,
        }
    }

    /// The rows of [`Self::table`], each made when it is taken: there may be thousands.
    #[must_use]
    pub fn rows(&self) -> Box<dyn Iterator<Item = Cow<'_, [Option<String>]>> + '_> {
        match self {
            Self::Hotspot(hotspot) => Box::new(hotspot.sessions.iter().map(|session| session.row().into())),
            Self::Listing(listing) => Box::new(listing.table.rows.iter().map(Into::into)),
            Self::Resource(_) | Self::Health(_) => Box::new(self.table().rows.into_iter().map(Into::into)),
        }
    }

    /// How long the series of a declared plugin are in `/metrics` at most, in bytes.
    #[must_use]
    pub fn series_length(&self) -> usize {
        match self {
            Self::Listing(listing) => listing.series_length(),
            Self::Hotspot(_) | Self::Resource(_) | Self::Health(_) => 0,
        }
    }

    /// The data as metrics, for `/metrics`: gauges of this data, and counters of all until now.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        match self {
            Self::Hotspot(hotspot) => hotspot.families(),
            Self::Resource(resource) => resource.families(),
            Self::Health(health) => health.families(),
            Self::Listing(listing) => listing.families(),
        }
    }

    /// The name of a metric that has more series than are kept, where there is one.
    fn incomplete_metric(&self) -> Option<String> {
        self.families().into_iter().find(Family::is_incomplete).map(|family| family.name.into_owned())
    }

    /// Why the data is only a part of what the router said, where it is.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        let left_out = match self {
            Self::Hotspot(hotspot) => lengths::left_out(hotspot.left_out),
            Self::Listing(listing) => lengths::left_out(listing.left_out),
            Self::Health(health) => health.incomplete(),
            Self::Resource(_) => None,
        };
        left_out.or_else(|| self.incomplete_metric().map(|name| format!("too many series of {name}")))
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn cost(&self) -> usize {
        match self {
            Self::Hotspot(hotspot) => hotspot.cost(),
            Self::Health(health) => health.cost(),
            Self::Listing(listing) => listing.cost(),
            // A few short texts.
            Self::Resource(_) => 0,
        }
    }

    /// The first of it, up to so many bytes, and why it is only that.
    #[must_use]
    pub fn cut(&self, most: usize) -> Option<(Self, String)> {
        let (cut, kept, of) = match self {
            Self::Hotspot(hotspot) => {
                let cut = hotspot.cut(most);
                let kept = cut.sessions.len();
                (Self::Hotspot(cut), kept, hotspot.sessions.len())
            }
            Self::Health(health) => {
                let cut = health.cut(most);
                let kept = cut.sensors.len();
                (Self::Health(cut), kept, health.sensors.len())
            }
            Self::Listing(listing) => {
                let cut = listing.cut(most);
                let kept = cut.table.rows.len();
                (Self::Listing(cut), kept, listing.table.rows.len())
            }
            Self::Resource(_) => return None,
        };
        Some((cut, format!("{kept} of {of} rows are kept: the agent has no memory for more")))
    }

    /// Whether an answer and the changes told disagree, so that it is worth asking again soon.
    #[must_use]
    pub fn has_discrepancy(&self) -> bool {
        matches!(self, Self::Hotspot(hotspot) if hotspot.has_discrepancy())
    }

    /// How many changes were found by asking, though a `listen` should have told them.
    #[must_use]
    pub fn missed_events(&self) -> u64 {
        match self {
            Self::Hotspot(hotspot) => hotspot.missed_events,
            _ => 0,
        }
    }
}

/// The plugins that need no configuration, which is also what a site collects unless told otherwise.
pub const BUILT_IN: [&str; 3] = ["hotspot", "resource", "health"];

/// The built-in plugin of this name.
#[must_use]
pub fn built_in(name: &str) -> Option<Arc<dyn Plugin>> {
    match name {
        "hotspot" => Some(Arc::new(hotspot::HotspotPlugin)),
        "resource" => Some(Arc::new(resource::ResourcePlugin)),
        "health" => Some(Arc::new(health::HealthPlugin)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_found_by_its_own_name() {
        for name in BUILT_IN {
            assert_eq!(built_in(name).unwrap().name(), name);
        }
        assert!(built_in("leases").is_none());
    }
}
