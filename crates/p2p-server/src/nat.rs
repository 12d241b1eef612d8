//! Under which address the world can reach us.
//!
//! A node behind a router does not know its own address. This module says who can tell it: nobody,
//! or the operator. Asking the router (`UPnP`, NAT-PMP) or a server on the internet (STUN) can be
//! added from outside by implementing [`Nat`].
//!
//! ```text
//!   node 192.168.1.7:30303 ── router ── the world
//!                             └ 1.2.3.4, which only it and the operator know
//! ```
//!
//! Spec: ethereum/go-ethereum:p2p/nat/nat.go, `Parse`.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::address;

/// A way to learn the address under which the world can reach this node.
///
/// `Display` says which, for logs.
pub trait Nat: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The address, if it is known.
    fn external_ip(&self) -> Option<IpAddr>;
}

/// Nobody knows the address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoNat;

impl Nat for NoNat {
    fn external_ip(&self) -> Option<IpAddr> {
        None
    }
}

impl fmt::Display for NoNat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none")
    }
}

/// The operator knows the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalIp(IpAddr);

impl ExternalIp {
    /// This address, which no one checks. An IPv4 address in IPv6 form is the IPv4 address.
    pub fn new(ip: IpAddr) -> Self {
        Self(address::canonical(ip))
    }
}

impl Nat for ExternalIp {
    fn external_ip(&self) -> Option<IpAddr> {
        Some(self.0)
    }
}

impl fmt::Display for ExternalIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extip:{}", self.0)
    }
}

/// Reads a way to learn the address from its text, of either case.
///
/// | text | meaning |
/// |---|---|
/// | the empty text, `none`, `off` | [`NoNat`] |
/// | `extip:1.2.3.4`, `ip:1.2.3.4` | [`ExternalIp`] |
/// | `any`, `auto`, `on`, `upnp`, `pmp`, `natpmp`, `nat-pmp`, `stun` | known and not built in |
///
/// # Errors
///
/// [`NatError`] when the text is none of them, or one that is not built in.
pub fn parse_nat(text: &str) -> Result<Arc<dyn Nat>, NatError> {
    let (mechanism, argument) = match text.split_once(':') {
        Some((mechanism, argument)) => (mechanism, Some(argument)),
        None => (text, None),
    };
    match mechanism.to_ascii_lowercase().as_str() {
        "" | "none" | "off" => Ok(Arc::new(NoNat)),
        "extip" | "ip" => {
            let ip = argument.ok_or(NatError::MissingAddress)?;
            let ip = ip.parse().map_err(|_| NatError::InvalidAddress)?;
            Ok(Arc::new(ExternalIp::new(ip)))
        }
        "any" | "auto" | "on" | "upnp" | "stun" => Err(NatError::not_built_in(mechanism)),
        "pmp" | "natpmp" | "nat-pmp" => match argument.map(str::parse::<IpAddr>) {
            Some(Err(_)) => Err(NatError::InvalidAddress),
            _ => Err(NatError::not_built_in(mechanism)),
        },
        _ => Err(NatError::Unknown { mechanism: mechanism.to_owned() }),
    }
}

/// Why a text names no way to learn the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NatError {
    /// The part after the colon is no IP address.
    #[error("invalid IP address")]
    InvalidAddress,
    /// There is no part after the colon where an IP address belongs.
    #[error("missing IP address")]
    MissingAddress,
    /// Nobody knows such a mechanism.
    #[error("unknown mechanism {mechanism:?}")]
    Unknown {
        /// The part before the colon.
        mechanism: String,
    },
    /// The mechanism exists and this program does not have it.
    #[error("mechanism {mechanism:?} is not built in, want none or extip:<ip>")]
    NotBuiltIn {
        /// The part before the colon.
        mechanism: String,
    },
}

impl NatError {
    fn not_built_in(mechanism: &str) -> Self {
        Self::NotBuiltIn { mechanism: mechanism.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_nat(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_and_none_know_no_address() {
        for text in ["", "none", "off", "NONE", "Off"] {
            let nat = parse_nat(text).unwrap();

            assert_eq!(nat.external_ip(), None, "{text:?}");
            assert_eq!(nat.to_string(), "none");
        }
    }

    #[test]
    fn an_external_address_is_what_was_written() {
        for (text, expected) in [
            ("extip:1.2.3.4", "1.2.3.4"),
            ("ip:1.2.3.4", "1.2.3.4"),
            ("EXTIP:1.2.3.4", "1.2.3.4"),
            ("extip:2001:db8::1", "2001:db8::1"),
            ("extip:::1", "::1"),
            ("extip:::ffff:1.2.3.4", "1.2.3.4"),
        ] {
            let nat = parse_nat(text).unwrap();

            assert_eq!(nat.external_ip(), Some(expected.parse().unwrap()), "{text:?}");
            assert_eq!(nat.to_string(), format!("extip:{expected}"));
        }
    }

    #[test]
    fn a_bad_or_missing_address_is_named_as_such() {
        assert_eq!(error("extip:1.2.3"), "invalid IP address");
        assert_eq!(error("extip:"), "invalid IP address");
        assert_eq!(error("ip:localhost"), "invalid IP address");
        assert_eq!(error("extip"), "missing IP address");
        assert_eq!(error("pmp:x"), "invalid IP address");
    }

    #[test]
    fn mechanisms_that_are_not_built_in_say_so() {
        for text in ["any", "auto", "on", "upnp", "pmp", "natpmp", "nat-pmp", "stun"] {
            let expected = format!("mechanism {text:?} is not built in, want none or extip:<ip>");

            assert_eq!(error(text), expected);
        }
        assert!(error("pmp:192.168.0.1").contains("not built in"));
        assert!(error("stun:example.org:3478").contains("not built in"));
        assert!(error("UPNP").contains("not built in"));
    }

    #[test]
    fn other_mechanisms_are_unknown() {
        assert_eq!(error("magic"), r#"unknown mechanism "magic""#);
        assert_eq!(error("magic:1.2.3.4"), r#"unknown mechanism "magic""#);
        assert_eq!(error("1.2.3.4"), r#"unknown mechanism "1.2.3.4""#);
    }
}
