//! `host:port` as it stands in the headers `Host` and `Origin`.
//!
//! ```text
//!   localhost   localhost:8545   127.0.0.1:8545   [::1]   [::1]:8545   ::1
//! ```
//!
//! Much stricter than a URL: no user, no escapes, no characters that two readers could take apart
//! differently (`localhost:80@evil.example`).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name or an address, as it was written; an IPv6 address without its brackets.
    pub(super) host: &'a str,
    /// Whether the host is an address.
    pub(super) is_ip: bool,
    /// The port, if one is written. `host:` has none.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Takes `text` apart; nothing if it is malformed.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            let port = match rest {
                "" => None,
                _ => parse_port(rest.strip_prefix(':')?)?,
            };
            return Some(Self { host, is_ip: true, port });
        }
        match text.split_once(':') {
            None => Self::named(text, None),
            // Nobody should write an IPv6 address without brackets; go-ethereum takes it, and no
            // name looks like one.
            Some((_, rest)) if rest.contains(':') => {
                text.parse::<Ipv6Addr>().ok()?;
                Some(Self { host: text, is_ip: true, port: None })
            }
            Some((host, port)) => Self::named(host, parse_port(port)?),
        }
    }

    fn named(host: &'a str, port: Option<u16>) -> Option<Self> {
        let is_name = !host.is_empty() && host.bytes().all(is_name_byte);
        is_name.then(|| Self { host, is_ip: host.parse::<Ipv4Addr>().is_ok(), port })
    }
}

/// The port, which may be left out after its colon; nothing if it is no port.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    // A sign would parse as a number, too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().map(Some) } else { None }
}

/// What names consist of on the wire, where international names are Punycode.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_and_port_are_taken_apart() {
        for (text, host, is_ip, port) in [
            ("localhost", "localhost", false, None),
            ("localhost:8545", "localhost", false, Some(8545)),
            ("localhost:", "localhost", false, None),
            ("Some_Name.example", "Some_Name.example", false, None),
            ("127.0.0.1", "127.0.0.1", true, None),
            ("127.0.0.1:8545", "127.0.0.1", true, Some(8545)),
            ("[::1]", "::1", true, None),
            ("[::1]:8545", "::1", true, Some(8545)),
            ("[::ffff:1.2.3.4]:", "::ffff:1.2.3.4", true, None),
            ("::1", "::1", true, None),
            // Names that look like addresses to some resolvers are names.
            ("127.1", "127.1", false, None),
            ("2130706433", "2130706433", false, None),
            ("0x7f.1", "0x7f.1", false, None),
            ("127.0.0.01", "127.0.0.01", false, None),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { host, is_ip, port }), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_nothing() {
        for text in [
            "",
            ":",
            ":8545",
            "localhost:http",
            "localhost:+80",
            "localhost:65536",
            "localhost:80:80",
            "localhost:80@evil.example",
            "evil.example@localhost",
            "localhost/path",
            "localhost\\",
            "local host",
            " localhost",
            "localhost\0",
            "localhöst",
            "*",
            "%6cocalhost",
            "[",
            "[]",
            "[::1",
            "[::1]8545",
            "[::1]]",
            "[127.0.0.1]",
            "[localhost]",
            "[fe80::1%25eth0]",
            "fe80::1%eth0",
            "::1]",
        ] {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]:.0-9a-f@%*/é]{0,40}") {
            if let Some(authority) = Authority::parse(&text) {
                prop_assert!(text.contains(authority.host));
            }
        }
    }
}
