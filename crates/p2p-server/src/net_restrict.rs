//! Lists of IP networks: which addresses this node talks to at all.
//!
//! ```text
//!   "10.0.0.0/8, 192.168.1.0/24"  ──▶  NetList  ──▶  contains(10.2.3.4)  yes
//!                                                    contains(11.0.0.1)  no
//! ```
//!
//! An address in IPv6 form that wraps an IPv4 address is looked up as the IPv4 address, so a
//! dual-stack socket cannot be used to get around the list.
//!
//! Spec: ethereum/go-ethereum:p2p/netutil/net.go, `ParseNetlist`.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::address;

/// A list of networks, written as CIDRs with commas between them.
///
/// Whitespace and empty items are ignored, so a trailing comma or a line break does no harm. The
/// empty list contains no address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetList(Vec<Cidr>);

impl NetList {
    /// A list of these networks.
    pub fn new(networks: impl IntoIterator<Item = Cidr>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether one of the networks contains the address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }

    /// The networks, in the order in which they were written.
    pub fn networks(&self) -> &[Cidr] {
        &self.0
    }
}

impl FromStr for NetList {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        text.split(',').filter(|item| !item.is_empty()).map(Cidr::from_str).collect()
    }
}

impl FromIterator<Cidr> for NetList {
    fn from_iter<I: IntoIterator<Item = Cidr>>(networks: I) -> Self {
        Self::new(networks)
    }
}

impl fmt::Display for NetList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            network.fmt(f)?;
        }
        Ok(())
    }
}

/// One IP network: an address and how many leading bits of it count, `10.0.0.0/8`.
///
/// Two ways to write the same network are equal: bits after the prefix are cleared, and IPv4 in
/// IPv6 form becomes IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The network of the first `prefix` bits of `address`.
    ///
    /// # Errors
    ///
    /// [`CidrError::Prefix`] when `prefix` is over 32 for IPv4 or over 128 for IPv6.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let limit = bits(address);
        if prefix > limit {
            return Err(CidrError::Prefix { got: prefix.to_string(), limit });
        }
        Ok(match (address, address::canonical(address)) {
            // `::ffff:10.0.0.0/104` is `10.0.0.0/8`; a shorter prefix is wider than IPv4 and
            // stays what it is.
            (IpAddr::V6(_), IpAddr::V4(inner)) if prefix >= WRAPPING_BITS => {
                Self::masked(IpAddr::V4(inner), prefix - WRAPPING_BITS)
            }
            (IpAddr::V6(outer), IpAddr::V4(_)) => {
                let kept = u128::MAX.unbounded_shl(128 - u32::from(prefix));
                Self { address: IpAddr::V6((outer.to_bits() & kept).into()), prefix }
            }
            _ => Self::masked(address, prefix),
        })
    }

    /// The network of this one address.
    pub fn single(address: IpAddr) -> Self {
        let address = address::canonical(address);
        Self { address, prefix: bits(address) }
    }

    /// The first address of the network.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits of the address all its members share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the network is just one address.
    pub fn is_single(&self) -> bool {
        self.prefix == bits(self.address)
    }

    /// Whether the address belongs to the network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, address::canonical(ip)) {
            (IpAddr::V4(_), ip @ IpAddr::V4(_)) | (IpAddr::V6(_), ip @ IpAddr::V6(_)) => {
                address::masked(ip, self.prefix, self.prefix) == self.address
            }
            _ => false,
        }
    }

    fn masked(address: IpAddr, prefix: u8) -> Self {
        Self { address: address::masked(address, prefix, prefix), prefix }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Parses `address/prefix`; an address without a prefix is an error, as in go-ethereum.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) =
            text.split_once('/').ok_or_else(|| CidrError::Slash { got: text.to_owned() })?;
        let address: IpAddr =
            address.parse().map_err(|_| CidrError::Address { got: address.to_owned() })?;
        let bad_prefix = || CidrError::Prefix { got: prefix.to_owned(), limit: bits(address) };
        // Signs and leading zeros would parse as numbers, but no CIDR is written so.
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit())
            && (prefix == "0" || !prefix.starts_with('0'));
        if !is_plain {
            return Err(bad_prefix());
        }
        Self::new(address, prefix.parse().map_err(|_| bad_prefix())?)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why a text is no list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// There is no slash between address and prefix.
    #[error("invalid network {got:?}, want address/prefix")]
    Slash {
        /// The item of the list.
        got: String,
    },
    /// The part before the slash is no IP address.
    #[error("invalid IP address {got:?} in network")]
    Address {
        /// What stands before the slash.
        got: String,
    },
    /// The part after the slash is no number of bits of such an address.
    #[error("invalid prefix {got:?} in network, want 0 to {limit}")]
    Prefix {
        /// What stands after the slash.
        got: String,
        /// How many bits the address has.
        limit: u8,
    },
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => IPV4_BITS,
        IpAddr::V6(_) => 128,
    }
}

const IPV4_BITS: u8 = 32;

/// How many bits come before the IPv4 address in `::ffff:a.b.c.d`.
const WRAPPING_BITS: u8 = 128 - IPV4_BITS;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(text: &str) -> NetList {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_found_in_any_network_of_the_list() {
        let list = list("10.0.0.0/8,192.168.1.0/24,2001:db8::/32");

        assert!(list.contains(ip("10.255.0.1")));
        assert!(list.contains(ip("192.168.1.200")));
        assert!(list.contains(ip("2001:db8:ffff::1")));
        assert!(!list.contains(ip("11.0.0.1")));
        assert!(!list.contains(ip("192.168.2.1")));
        assert!(!list.contains(ip("2001:db9::1")));
    }

    #[test]
    fn whitespace_and_empty_items_are_ignored() {
        let list = list(" 10.0.0.0/8,\n ,, 192.168.0.0 / 16 ,\t");

        assert_eq!(list.to_string(), "10.0.0.0/8,192.168.0.0/16");
        assert_eq!("".parse(), Ok(NetList::default()));
    }

    #[test]
    fn the_empty_list_contains_nothing() {
        assert!(!NetList::default().contains(ip("127.0.0.1")));
    }

    #[test]
    fn a_wrapped_ipv4_address_is_looked_up_as_ipv4() {
        assert!(list("10.0.0.0/8").contains(ip("::ffff:10.1.1.1")));
        assert!(!list("::/0").contains(ip("::ffff:10.1.1.1")));
        assert_eq!(list("::ffff:10.0.0.0/104"), list("10.0.0.0/8"));
    }

    #[test]
    fn bits_after_the_prefix_do_not_matter() {
        assert_eq!(list("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(list("2001:db8::1/32"), list("2001:db8::/32"));
    }

    #[test]
    fn prefixes_of_no_bits_and_of_all_bits_work() {
        assert!(list("0.0.0.0/0").contains(ip("255.255.255.255")));
        assert!(!list("0.0.0.0/0").contains(ip("::1")));
        assert!(list("1.2.3.4/32").contains(ip("1.2.3.4")));
        assert!(!list("1.2.3.4/32").contains(ip("1.2.3.5")));
        assert!(list("::1/128").contains(ip("::1")));
        assert!(Cidr::single(ip("::1")).is_single());
    }

    #[test]
    fn malformed_networks_are_refused_with_what_was_expected() {
        for (text, expected) in [
            ("10.0.0.1", r#"invalid network "10.0.0.1", want address/prefix"#),
            ("10.0.0/8", r#"invalid IP address "10.0.0" in network"#),
            ("fe80::1%eth0/64", r#"invalid IP address "fe80::1%eth0" in network"#),
            ("10.0.0.0/33", r#"invalid prefix "33" in network, want 0 to 32"#),
            ("10.0.0.0/+8", r#"invalid prefix "+8" in network, want 0 to 32"#),
            ("10.0.0.0/08", r#"invalid prefix "08" in network, want 0 to 32"#),
            ("10.0.0.0/", r#"invalid prefix "" in network, want 0 to 32"#),
            ("::/129", r#"invalid prefix "129" in network, want 0 to 128"#),
            ("::/1000", r#"invalid prefix "1000" in network, want 0 to 128"#),
            ("10.0.0.0/8,x", r#"invalid network "x", want address/prefix"#),
        ] {
            let error = text.parse::<NetList>().unwrap_err();

            assert_eq!(error.to_string(), expected);
        }
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from(bits).to_ipv6_mapped())),
        ]
    }

    proptest! {
        #[test]
        fn a_network_survives_printing_and_contains_its_members(
            ip in any_ip(),
            prefix in 0..=128_u8,
        ) {
            let prefix = prefix.min(bits(ip));
            let network = Cidr::new(ip, prefix).unwrap();

            prop_assert_eq!(network.to_string().parse::<Cidr>(), Ok(network));
            if network.address().is_ipv4() == address::canonical(ip).is_ipv4() {
                prop_assert!(network.contains(ip));
            }
            prop_assert!(Cidr::single(ip).contains(ip));
        }
    }
}
