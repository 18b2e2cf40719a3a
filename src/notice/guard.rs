//! Where messages may not be carried, whoever names the place.
//!
//! A receiver's name may be made to lead into our own network, by mistake or on purpose: the
//! machine's own services, a cloud's metadata with its credentials. So the address that a name
//! leads to is looked at each time a connection is made, when nothing can change it any more. What
//! is private is reached only if the URL names that very address (or `localhost`), which only
//! whoever runs bellwether can write, or if `global.allowed_networks` holds it. Addresses of one
//! link, where metadata lives, and those that lead to no single machine need the latter even if
//! they are written out. Redirects are never followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::model::Network;

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, and `global.allowed_networks` does not hold it")]
pub struct Refused {
    /// Which address.
    pub address: IpAddr,
    /// What kind of address it is.
    pub kind: &'static str,
}

/// Which addresses are connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    allowed: Arc<[Network]>,
}

impl Guard {
    /// Everything public, and these.
    pub fn new(allowed: &[Network]) -> Self {
        Self { allowed: Arc::from(allowed) }
    }

    /// An address that a URL names itself.
    pub fn written(&self, address: IpAddr) -> Result<(), Refused> {
        match kind(plain(address)) {
            Kind::Own(_) => Ok(()),
            Kind::Never(kind) => self.unless_allowed(address, kind),
            Kind::Public => Ok(()),
        }
    }

    /// An address that a name leads to.
    pub fn resolved(&self, address: IpAddr) -> Result<(), Refused> {
        match kind(plain(address)) {
            Kind::Own(kind) | Kind::Never(kind) => self.unless_allowed(address, kind),
            Kind::Public => Ok(()),
        }
    }

    fn unless_allowed(&self, address: IpAddr, kind: &'static str) -> Result<(), Refused> {
        let is_allowed = self
            .allowed
            .iter()
            .any(|network| network.contains(address) || network.contains(plain(address)));
        if is_allowed { Ok(()) } else { Err(Refused { address, kind }) }
    }
}

enum Kind {
    /// Of this machine or of a network of our own.
    Own(&'static str),
    /// Of one link, or of no single machine.
    Never(&'static str),
    Public,
}

/// The IPv4 address that an IPv6 address stands for, however it does.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped, compatible (but `::` and `::1` themselves), NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// By IANA's registries of special-purpose addresses.
fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [127, ..] => Kind::Own("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Own("a private address"),
        [100, 64..=127, ..] => Kind::Own("an address behind a carrier's NAT"),
        [169, 254, ..] => Kind::Never("a link-local address, where clouds keep their metadata"),
        [0, ..] => Kind::Never("an unspecified address"),
        [224..=239, ..] => Kind::Never("a multicast address"),
        [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => Kind::Never("a reserved address"),
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if address.is_loopback() {
        return Kind::Own("a loopback address");
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("an unspecified address"),
        [0xfd00, 0xec2, ..] => Kind::Never("where a cloud keeps its metadata"),
        [0xfc00..=0xfdff, ..] => Kind::Own("a private address"),
        [0xfe80..=0xfebf, ..] => Kind::Never("a link-local address"),
        [0xfec0..=0xfeff, ..] => Kind::Own("a private address"),
        [0xff00..=0xffff, ..] => Kind::Never("a multicast address"),
        _ => Kind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, address: &str, written: bool, resolved: bool) {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(guard.written(address).is_ok(), written, "{address}, written");
        assert_eq!(guard.resolved(address).is_ok(), resolved, "{address}, resolved");
    }

    #[test]
    fn a_name_leads_to_public_addresses_only_and_metadata_is_never_reached() {
        let guard = Guard::default();
        for address in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]
        {
            check(&guard, address, true, true);
        }
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
        ] {
            check(&guard, address, true, false);
        }
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.192",
            "ff02::1",
        ] {
            check(&guard, address, false, false);
        }
    }

    #[test]
    fn what_the_configuration_allows_is_reached() {
        let networks = ["10.0.0.0/8", "169.254.7.0/24"].map(|text| Network::parse(text).unwrap());
        let guard = Guard::new(&networks);
        check(&guard, "10.1.2.3", true, true);
        check(&guard, "::ffff:10.1.2.3", true, true);
        check(&guard, "169.254.7.1", true, true);
        check(&guard, "169.254.169.254", false, false);
        check(&guard, "192.168.0.1", true, false);
        let said = guard.resolved("192.168.0.1".parse().unwrap()).unwrap_err().to_string();
        let expected = "192.168.0.1 is a private address, and `global.allowed_networks` does not \
                        hold it";
        assert_eq!(said, expected);
    }
}
