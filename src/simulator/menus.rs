//! The menus of a router: their names, and the commands and attributes that each one accepts.

use super::version::Version;

pub(super) const ACTIVE: &str = "/ip/hotspot/active";
pub(super) const USER: &str = "/ip/hotspot/user";
pub(super) const HOST: &str = "/ip/hotspot/host";
pub(super) const COOKIE: &str = "/ip/hotspot/cookie";
pub(super) const HOTSPOT: &str = "/ip/hotspot";
pub(super) const LEASE: &str = "/ip/dhcp-server/lease";
pub(super) const DHCP_SERVER: &str = "/ip/dhcp-server";
pub(super) const FIREWALL: &str = "/ip/firewall/filter";
pub(super) const INTERFACE: &str = "/interface";
pub(super) const QUEUE: &str = "/queue/simple";
pub(super) const PPP: &str = "/ppp/active";
pub(super) const POOL: &str = "/ip/pool";
pub(super) const POOL_USED: &str = "/ip/pool/used";
pub(super) const ADDRESS: &str = "/ip/address";
pub(super) const NEIGHBOR: &str = "/ip/neighbor";
pub(super) const NETWATCH: &str = "/tool/netwatch";
pub(super) const ADMINISTRATOR: &str = "/user/active";
pub(super) const LOG: &str = "/log";
pub(super) const SERVICE: &str = "/ip/service";
pub(super) const RESOURCE: &str = "/system/resource";
pub(super) const IDENTITY: &str = "/system/identity";
pub(super) const CLOCK: &str = "/system/clock";
pub(super) const LICENSE: &str = "/system/license";
pub(super) const ROUTERBOARD: &str = "/system/routerboard";
pub(super) const HEALTH: &str = "/system/health";

/// The name of the hotspot server's address pool.
pub(super) const HOTSPOT_POOL: &str = "hs-pool-1";

/// The name of the hotspot server.
pub(super) const HOTSPOT_NAME: &str = "hotspot1";

/// The menu of Wi-Fi clients: RouterOS renamed it in 7.13.
pub(super) fn registrations(version: &Version) -> &'static str {
    if version.has_wifi() {
        "/interface/wifi/registration-table"
    } else {
        "/interface/wireless/registration-table"
    }
}

/// The commands that a menu accepts besides `print` and, with several rows, `listen`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether the menu is one row without an `.id`, such as `/system/resource`.
    pub(super) single: bool,
    pub(super) add: bool,
    pub(super) remove: bool,
    pub(super) settable: Settable,
    /// The attribute that rows are indexed by, so that finding one does not scan the menu. Needed where
    /// each hotspot login looks up a row and the menu is as large as the hotspot.
    pub(super) index: &'static str,
}

/// The attributes that `set` and `add` accept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settable {
    /// There is no `set`.
    None,
    /// The named ones, separated by spaces.
    Only(&'static str),
    Any,
}

impl Settable {
    pub(super) fn contains(self, key: &str) -> bool {
        match self {
            Self::None => false,
            Self::Only(keys) => keys.split(' ').any(|k| k == key),
            Self::Any => true,
        }
    }
}

pub(super) const READ_ONLY: Rules =
    Rules { single: false, add: false, remove: false, settable: Settable::None, index: "" };
pub(super) const SINGLE: Rules = Rules { single: true, ..READ_ONLY };
pub(super) const REMOVE_ONLY: Rules = Rules { remove: true, ..READ_ONLY };
/// A menu of one row that only a capture has.
pub(super) const CAPTURED_SINGLE: Rules = SINGLE.settable(Settable::Any);
/// A menu that only a test or a capture has.
pub(super) const UNRESTRICTED: Rules = Rules { add: true, ..REMOVE_ONLY }.settable(Settable::Any);

impl Rules {
    const fn settable(self, settable: Settable) -> Self {
        Self { settable, ..self }
    }

    const fn set(self, keys: &'static str) -> Self {
        self.settable(Settable::Only(keys))
    }

    const fn editable(keys: &'static str) -> Self {
        Self { add: true, ..REMOVE_ONLY }.set(keys)
    }

    pub(super) const fn indexed(self, key: &'static str) -> Self {
        Self { index: key, ..self }
    }
}

/// The menus of every board and version; [`HEALTH`] and [`registrations`] depend on them.
pub(super) const MENUS: [(&str, Rules); 24] = [
    (ACTIVE, REMOVE_ONLY),
    (
        USER,
        Rules::editable(
            "server name password profile address mac-address comment disabled limit-uptime limit-bytes-in \
             limit-bytes-out limit-bytes-total email routes",
        )
        .indexed("name"),
    ),
    (HOST, REMOVE_ONLY.indexed("address")),
    (COOKIE, REMOVE_ONLY.indexed("user")),
    (HOTSPOT, Rules::editable("name interface address-pool profile disabled")),
    (LEASE, Rules::editable("address mac-address server comment disabled").indexed("address")),
    (PPP, REMOVE_ONLY),
    (NETWATCH, Rules::editable("host type interval timeout port up-script down-script comment disabled")),
    (POOL_USED, READ_ONLY.indexed("address")),
    (ADMINISTRATOR, READ_ONLY),
    (SERVICE, READ_ONLY),
    (LOG, READ_ONLY),
    (RESOURCE, SINGLE),
    (IDENTITY, SINGLE.set("name")),
    (CLOCK, SINGLE.set("date time time-zone-autodetect time-zone-name")),
    (LICENSE, SINGLE),
    (INTERFACE, READ_ONLY.set("name comment disabled")),
    (QUEUE, Rules::editable("name target parent priority queue limit-at max-limit comment disabled")),
    (POOL, Rules::editable("name ranges next-pool comment")),
    (ADDRESS, Rules::editable("address network interface comment disabled")),
    (NEIGHBOR, READ_ONLY),
    (DHCP_SERVER, READ_ONLY),
    (FIREWALL, READ_ONLY),
    (ROUTERBOARD, SINGLE),
];
