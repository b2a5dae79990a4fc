//! The names of menus, and what each menu allows.

use super::table::{Keys, Rules};
use super::version::Version;

pub(super) const ACTIVE: &str = "/ip/hotspot/active";
pub(super) const USER: &str = "/ip/hotspot/user";
pub(super) const HOST: &str = "/ip/hotspot/host";
pub(super) const COOKIE: &str = "/ip/hotspot/cookie";
pub(super) const SERVER: &str = "/ip/hotspot";
pub(super) const LEASE: &str = "/ip/dhcp-server/lease";
pub(super) const INTERFACE: &str = "/interface";
pub(super) const QUEUE: &str = "/queue/simple";
pub(super) const PPP: &str = "/ppp/active";
pub(super) const USED: &str = "/ip/pool/used";
pub(super) const NETWATCH: &str = "/tool/netwatch";
pub(super) const ADMINISTRATOR: &str = "/user/active";
pub(super) const LOG: &str = "/log";
pub(super) const SERVICE: &str = "/ip/service";
pub(super) const RESOURCE: &str = "/system/resource";
pub(super) const HEALTH: &str = "/system/health";

pub(super) const READ_ONLY: Rules =
    Rules { single: false, add: false, remove: false, set: Keys::None, found_by: "" };
/// A menu of one row that a capture makes.
pub(super) const ONE_ROW: Rules = Rules { set: Keys::Any, ..SINGLE };

pub(super) const SINGLE: Rules = Rules { single: true, ..READ_ONLY };
pub(super) const REMOVE_ONLY: Rules = Rules { remove: true, ..READ_ONLY };

/// What a menu made by a test allows: everything.
pub(super) const ANYTHING: Rules = Rules { add: true, remove: true, set: Keys::Any, ..READ_ONLY };

/// The devices at the radios: the menu has another name from 7.13 on, and a version has only its own.
pub(super) fn registrations(version: &Version) -> &'static str {
    if version.has_wifi() {
        "/interface/wifi/registration-table"
    } else {
        "/interface/wireless/registration-table"
    }
}

/// The name and the port of the API's service.
pub(super) fn api(tls: bool) -> (&'static str, &'static str) {
    if tls { ("api-ssl", "8729") } else { ("api", "8728") }
}
