//! What an IP address says about who is behind it.
//!
//! Limits are kept per owner, not per address: one IPv4 address is one owner, but whoever rents
//! one IPv6 line gets a whole /64 of addresses and can use a new one for each connection. An IPv4
//! address written in IPv6 form is the IPv4 address; forgetting that is the classic way around a
//! filter.
//!
//! ```text
//!   10.0.0.7             ─ canonical ─▶  10.0.0.7       owner 10.0.0.7/32   network 10.0.0.0/24
//!   ::ffff:10.0.0.7      ─ canonical ─▶  10.0.0.7       (the same)
//!   2001:db8:1:2:3:4:5:6 ─ canonical ─▶  itself         owner 2001:db8:1:2::/64
//!                                                       network 2001:db8:1::/48
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address itself, or the IPv4 address that an IPv6 address only wraps (`::ffff:a.b.c.d`).
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Whether the address is of this machine or of a private network around it: loopback, RFC 1918,
/// link-local or unique-local.
///
/// Neighbours of ours are not throttled: on one machine or behind one router all share an address.
pub(crate) fn is_lan(ip: IpAddr) -> bool {
    match canonical(ip) {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Who is counted for this address: the IPv4 address, or the /64 around the IPv6 address.
pub(crate) fn owner(ip: IpAddr) -> IpAddr {
    masked(ip, 32, 64)
}

/// The network around the address whose machines tend to have one operator: /24 or /48.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    masked(ip, 24, 48)
}

/// The canonical address with all but its leading bits cleared.
///
/// Keeps all bits where `v4` is over 32 or `v6` over 128.
pub(crate) fn masked(ip: IpAddr, v4: u8, v6: u8) -> IpAddr {
    match canonical(ip) {
        IpAddr::V4(ip) => {
            let host_bits = 32_u32.saturating_sub(v4.into());
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.unbounded_shl(host_bits)))
        }
        IpAddr::V6(ip) => {
            let host_bits = 128_u32.saturating_sub(v6.into());
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.unbounded_shl(host_bits)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_and_loopback_addresses_are_lan() {
        for text in [
            "127.0.0.1",
            "127.255.1.2",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.9.9",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "::ffff:192.168.0.1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_lan(ip(text)), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not_lan() {
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "172.15.255.255",
            "192.169.0.1",
            "100.64.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "::",
        ] {
            assert!(!is_lan(ip(text)), "{text}");
        }
    }

    #[test]
    fn an_owner_is_an_ipv4_address_or_an_ipv6_slash_64() {
        assert_eq!(owner(ip("1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(owner(ip("::ffff:1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(owner(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
    }

    #[test]
    fn a_network_is_a_slash_24_or_a_slash_48() {
        assert_eq!(network(ip("1.2.3.4")), ip("1.2.3.0"));
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1::"));
    }

    #[test]
    fn masks_of_no_bits_and_of_all_bits_work() {
        assert_eq!(masked(ip("1.2.3.4"), 0, 0), ip("0.0.0.0"));
        assert_eq!(masked(ip("2001:db8::1"), 0, 0), ip("::"));
        assert_eq!(masked(ip("1.2.3.4"), 32, 128), ip("1.2.3.4"));
        assert_eq!(masked(ip("2001:db8::1"), 32, 128), ip("2001:db8::1"));
    }
}
