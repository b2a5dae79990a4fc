//! Names of devices, from the DHCP leases that a declared plugin reads.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::reading::Reading;
use super::site_state::SiteState;

/// The menu of the leases.
const LEASES: &str = "/ip/dhcp-server/lease";

/// The columns that may have a device's name, the best first.
const NAMES: [&str; 2] = ["host-name", "comment"];

/// The names of a site's devices by their MAC addresses, which are in upper case; empty unless a plugin of the site reads the
/// leases with these columns.
pub fn device_names(site: &SiteState) -> HashMap<String, &str> {
    let is_of_leases =
        |reading: &&Reading| reading.plugin.declaration().is_some_and(|plugin| plugin.menu == LEASES);
    let mut names = HashMap::new();
    for reading in site.readings.iter().filter(is_of_leases) {
        let Some(listing) = reading.data.as_deref().and_then(|data| data.listing()) else { continue };
        let place = |name: &str| listing.table.columns.iter().position(|column| column == name);
        let Some(mac) = place("mac-address") else { continue };
        let places: Vec<usize> = NAMES.iter().filter_map(|name| place(name)).collect();
        for row in &listing.table.rows {
            let cell = |place: usize| row.get(place)?.as_deref().filter(|text| !text.is_empty());
            if let (Some(mac), Some(name)) = (cell(mac), places.iter().find_map(|place| cell(*place))) {
                names.insert(mac.to_ascii_uppercase(), name);
            }
        }
    }
    names
}

/// The name among `names` of the device with a MAC address.
pub fn device_of<'s>(
    names: &HashMap<String, &'s str, impl BuildHasher>,
    mac: Option<&str>,
) -> Option<&'s str> {
    names.get(&mac?.to_ascii_uppercase()).copied()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Data, Declaration, Listing, Plugin, Table};

    #[test]
    fn a_device_has_the_name_in_its_lease() {
        let row = |mac: &str, host: Option<&str>, comment: &str| {
            vec![Some(mac.to_string()), host.map(String::from), Some(comment.to_string())]
        };
        let rows = vec![
            row("AA:00", Some("phone"), "Ada's"),
            row("aa:01", None, "Chidi's"),
            row("AA:02", Some(""), ""),
            vec![None, Some("no MAC".into()), None],
        ];
        for (menu, columns, expected) in [
            (
                LEASES,
                ["mac-address", "host-name", "comment"],
                &[("AA:00", "phone"), ("AA:01", "Chidi's")][..],
            ),
            (LEASES, ["mac-address", "server", "comment"], &[("AA:00", "Ada's"), ("AA:01", "Chidi's")]),
            (LEASES, ["mac-address", "server", "status"], &[]),
            (LEASES, ["address", "host-name", "comment"], &[]),
            ("/ip/arp", ["mac-address", "host-name", "comment"], &[]),
        ] {
            let declaration = Declaration { menu: menu.into(), ..Declaration::default() };
            let plugin = Plugin::Declared(declaration.into());
            let mut site = SiteState::new("a", "a", Duration::from_secs(30), [], [plugin]);
            assert!(device_names(&site).is_empty(), "before the first read");
            let mut listing = Listing::default();
            listing.table = Table { columns: columns.map(String::from).into(), rows: rows.clone() };
            site.readings[0].data = Some(Arc::new(Data::Listing(listing.into())));
            let expected = expected.iter().map(|(mac, name)| ((*mac).to_string(), *name)).collect();
            assert_eq!(device_names(&site), expected, "{menu} {columns:?}");
        }
    }
}
