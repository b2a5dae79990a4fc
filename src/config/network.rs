//! A network of IP addresses: `10.0.0.0/8`, or a single address.

use std::net::IpAddr;

/// A network of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// The length of the network part, in bits.
    prefix: u8,
}

impl Network {
    /// Parses an address or CIDR notation. The bits after the prefix are ignored. IPv4-mapped IPv6 is rejected, because its
    /// prefix would be ambiguous.
    pub fn read(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().ok().filter(|address: &IpAddr| address.to_canonical() == *address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok());
        Some(Self { address, prefix: prefix.filter(|prefix| *prefix <= longest)? })
    }

    /// Whether an address is in the network. IPv4 addresses must not be mapped to IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (differing, longest) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => (u128::from(ours.to_bits() ^ other.to_bits()), 32),
            (IpAddr::V6(ours), IpAddr::V6(other)) => (ours.to_bits() ^ other.to_bits(), 128),
            _ => return false,
        };
        // With a prefix of 0 all bits are shifted out.
        differing.checked_shr(longest - u32::from(self.prefix)).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_the_addresses_with_their_prefix() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255"][..],
                &["9.255.255.255", "11.0.0.0", "::a00:0"][..],
            ),
            ("10.1.2.3/8", &["10.0.0.0", "10.255.255.255"], &["11.0.0.0"]),
            ("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "::1", "::7f00:1"]),
            ("192.0.2.6/31", &["192.0.2.6", "192.0.2.7"], &["192.0.2.5", "192.0.2.8"]),
            ("192.0.2.6/32", &["192.0.2.6"], &["192.0.2.7"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::"]),
            ("fd00::/8", &["fd00::", "fdff::1"], &["fc00::", "fe00::", "10.0.0.1"]),
            ("::1", &["::1"], &["::", "::2", "127.0.0.1"]),
            ("2001:db8::/127", &["2001:db8::1"], &["2001:db8::2"]),
            ("::/0", &["::", "ffff::"], &["0.0.0.0"]),
        ] {
            let read = Network::read(network).unwrap();
            for (addresses, expected) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(read.contains(address.parse().unwrap()), expected, "{address} in {network}");
                }
            }
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0",
            "10.0.0.0:80",
            "[::1]",
            "::/129",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "proxy.example",
            " 10.0.0.1",
        ] {
            assert_eq!(Network::read(text), None, "{text:?}");
        }
    }
}
