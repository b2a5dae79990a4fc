//! A session in a list: with the name of its device, and its rates.

use crate::plugin::{Hotspot, Rates, Session};
use crate::state::{SiteState, device_names, device_of};

/// A session with what a list shows besides its own properties.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedSession<'s> {
    pub(super) session: &'s Session,
    /// The name of its device.
    pub(super) device: Option<&'s str>,
    /// Unknown while the router does not respond.
    pub(super) rates: Option<Rates>,
}

/// The sessions in this data of a site.
pub(super) fn listed_sessions<'s>(
    site: &'s SiteState,
    hotspot: &'s Hotspot,
) -> impl Iterator<Item = ListedSession<'s>> {
    let (devices, is_hotspot_current) = (device_names(site), site.is_hotspot_current());
    hotspot.sessions.iter().map(move |session| ListedSession {
        session,
        device: device_of(&devices, session.mac()),
        rates: session.rates().filter(|_| is_hotspot_current),
    })
}
