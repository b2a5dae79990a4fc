//! The utilisation of the hotspots' address pools.
//!
//! An address of a pool is taken if `/ip/pool/used` lists it, or if a static lease reserves it: MikroTik does not
//! document whether the router lists those too. So the agent reads the addresses and counts each once. `count-only` and the
//! totals that newer versions print are shorter, but may omit reserved addresses.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::plugin::answer::{Answer, complete};
use crate::plugin::context::ReadContext;
use crate::plugin::limits;
use crate::routeros::client::{Command, Limit};
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;

/// Size limit of each list: the addresses of a router with 8000 devices. A longer list is incomplete, and the figures
/// are unknown.
const LIST: Limit = Limit { rows: 8192, bytes: 1024 * 1024 };

/// Maximum number of hotspot pools at one router, since each is a series in `/metrics`. A large hotel has ten.
const MAX_POOLS: usize = 64;

/// The utilisation of a pool, its `next-pool` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUse {
    /// The name of the pool.
    pub pool: String,
    /// How many of its addresses are taken.
    pub used: u64,
    /// How many addresses it has.
    pub size: u64,
}

impl PoolUse {
    /// The used share, from 0 to 1; `None` for a pool without addresses.
    pub fn ratio(&self) -> Option<f64> {
        (self.size > 0).then(|| self.used as f64 / self.size as f64)
    }
}

/// Counts the addresses that are inside of the ranges, and the addresses of the ranges: `(taken, size)`. Each counts once.
/// Ranges are separated by commas: `10.5.50.2-10.5.50.254`, `10.5.51.7` or `10.5.52.0/24`. `None` if one is malformed.
pub fn pool_used(ranges: &str, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Option<(u64, u64)> {
    let ranges = ranges.split(',').filter(|range| !range.is_empty()).map(|range| bounds(range.trim()));
    let mut ranges: Vec<(u32, u32)> = ranges.collect::<Option<_>>()?;
    ranges.sort_unstable();
    let mut addresses: Vec<u32> = addresses.into_iter().map(u32::from).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let (mut taken, mut size) = (0, 0);
    // The first address that is not counted yet, as ranges may overlap.
    let mut next = 0;
    for (first, last) in ranges.into_iter().map(|(first, last)| (u64::from(first), u64::from(last))) {
        let first = first.max(next);
        if first <= last {
            size += last - first + 1;
            let before = |limit: u64| addresses.partition_point(|address| u64::from(*address) < limit);
            taken += (before(last + 1) - before(first)) as u64;
            next = last + 1;
        }
    }
    Some((taken, size))
}

/// The first and the last address of a range.
fn bounds(range: &str) -> Option<(u32, u32)> {
    let address = |text: &str| text.trim().parse().map(Ipv4Addr::to_bits).ok();
    let (first, last) = if let Some((first, last)) = range.split_once('-') {
        (address(first)?, address(last)?)
    } else if let Some((network, prefix)) = range.split_once('/') {
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= u32::BITS)?;
        let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
        (address(network)? & !hosts, address(network)? | hosts)
    } else {
        (address(range)?, address(range)?)
    };
    (first <= last).then_some((first, last))
}

/// The pools, the hotspot servers, the used addresses, the static leases, and the DHCP servers.
pub(super) fn commands() -> Vec<Command> {
    let print = |menu, properties| Command::new(menu).proplist(properties).at_most(LIST);
    vec![
        print("/ip/pool/print", "name,ranges,next-pool"),
        print("/ip/hotspot/print", "interface,address-pool,disabled"),
        print("/ip/pool/used/print", "address"),
        print("/ip/dhcp-server/lease/print", "address")
            .query_equal("dynamic", b"false")
            .query_equal("disabled", b"false"),
        print("/ip/dhcp-server/print", "interface,address-pool,disabled"),
    ]
}

/// Reads the answers to [`commands`]. A hotspot server without a pool translates no addresses: its clients have those of
/// the DHCP server at the same interface. A pool that does not exist or is malformed is left out.
pub(super) fn read(answers: &[Answer], context: &ReadContext) -> Result<Vec<PoolUse>, Error> {
    let (pools, hotspots) = (complete(answers, 0)?, complete(answers, 1)?);
    // A router without the package `dhcp` has neither leases nor servers.
    let dhcp = |at| match complete(answers, at) {
        Err(error) if error.cause == Cause::Unsupported => Ok(None),
        reply => reply.map(|reply| Some(&reply.rows)),
    };
    let (leases, servers) = (dhcp(3)?, dhcp(4)?);
    let rows = complete(answers, 2)?.rows.iter().chain(leases.into_iter().flat_map(Rows::iter));
    // A static lease may have the name of a pool in place of an address.
    let address = |row: SentenceRef| std::str::from_utf8(row.get("address")?).ok()?.parse().ok();
    let addresses: Vec<Ipv4Addr> = rows.filter_map(address).collect();
    let pools: HashMap<&[u8], SentenceRef> =
        pools.rows.iter().filter_map(|row| Some((row.get("name")?, row))).collect();
    let mut names: Vec<&[u8]> = Vec::new();
    let is_enabled = |row: &SentenceRef| row.get("disabled").and_then(value::boolean) != Some(true);
    let exists = |name: &&[u8]| pools.contains_key(name);
    for hotspot in hotspots.rows.iter().filter(is_enabled) {
        let interface = hotspot.get("interface");
        let is_here = |server: &SentenceRef| interface.is_some() && server.get("interface") == interface;
        let name = match hotspot.get("address-pool") {
            None | Some(b"none") => {
                let servers = servers.into_iter().flat_map(Rows::iter).filter(is_enabled).filter(is_here);
                servers.filter_map(|server| server.get("address-pool")).find(exists)
            }
            name => name.filter(exists),
        };
        names.extend(name.filter(|name| !names.contains(name)));
        if names.len() > MAX_POOLS {
            let message = format!("the hotspot servers use more than {MAX_POOLS} address pools");
            return Err(Error::new(Cause::Protocol, message));
        }
    }
    let pool_use = |name: &[u8]| {
        let (used, size) = pool_used(&chained_ranges(&pools, name)?, addresses.iter().copied())?;
        Some(PoolUse { pool: value::short_text(name, limits::NAME, context.codepage), used, size })
    };
    Ok(names.into_iter().filter_map(pool_use).collect())
}

/// The ranges of a pool and of those that it continues with when it is exhausted.
fn chained_ranges(pools: &HashMap<&[u8], SentenceRef>, name: &[u8]) -> Option<String> {
    let mut chain = vec![name];
    let mut ranges = String::new();
    while let Some(pool) = chain.last().and_then(|name| pools.get(name)) {
        ranges = ranges + std::str::from_utf8(pool.get("ranges")?).ok()? + ",";
        match pool.get("next-pool").filter(|next| !chain.contains(next)) {
            Some(next) if chain.len() < MAX_POOLS => chain.push(next),
            _ => break,
        }
    }
    Some(ranges)
}

#[cfg(test)]
mod tests;
