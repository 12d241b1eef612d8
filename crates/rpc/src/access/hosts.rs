//! The names under which a server is asked for: the `Host` header.
//!
//! A page from `evil.example` may call its own host, and whoever owns that name may point it at
//! `127.0.0.1`. The browser then believes that our server is `evil.example`, and says so:
//!
//! ```text
//!   browser                          this server, on 127.0.0.1
//!      │  POST /   Host: evil.example        │
//!      ├────────────────────────────────────▶│  not a listed name: 403
//!      │  POST /   Host: localhost:8545      │
//!      ├────────────────────────────────────▶│  listed
//! ```
//!
//! An address cannot be pointed anywhere else, so it always passes.
//!
//! Spec: ethereum/go-ethereum:node/rpcstack.go, `virtualHostHandler`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use super::{RuleError, at_most_one, authority::Authority};

/// The host names that requests may name, `localhost` by default.
///
/// Also known as virtual hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    any: bool,
    /// In lower case, without port.
    names: Vec<String>,
}

impl Hosts {
    /// What a refused request gets, with status 403.
    pub const REFUSAL: &str = "invalid host specified";

    /// These names; `*` among them lets any host pass.
    ///
    /// White space around an entry, empty entries and the port of an entry are ignored. With no
    /// name at all only addresses pass.
    ///
    /// # Errors
    ///
    /// [`RuleError::Host`] for an entry that is no host name.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, RuleError> {
        let mut hosts = Self { any: false, names: Vec::new() };
        for name in names {
            match name.as_ref().trim() {
                "" => {}
                "*" => hosts.any = true,
                name => {
                    let authority = Authority::parse(name)
                        .ok_or_else(|| RuleError::Host { got: name.to_owned() })?;
                    hosts.names.push(authority.host.to_ascii_lowercase());
                }
            }
        }
        Ok(hosts)
    }

    /// Any host passes: for a server behind something that checks it.
    pub fn any() -> Self {
        Self { any: true, names: Vec::new() }
    }

    /// Whether a request with these `Host` headers may be served.
    ///
    /// The port does not matter, nor does case. A request without the header passes, as it comes
    /// from no browser; so does an empty one. More than one is refused whatever is listed.
    ///
    /// If the request's target is a whole URL, pass the host and port of that URL: it takes the
    /// header's place (RFC 9112, 3.2.2).
    ///
    /// Unlike go-ethereum, which does not recognise `[::1]` without a port, and ignores whatever
    /// follows the name's colon.
    pub fn allows<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> bool {
        match at_most_one(values) {
            Err(()) => false,
            Ok(None | Some(b"")) => true,
            Ok(Some(value)) => self.any || self.allows_value(value),
        }
    }

    fn allows_value(&self, value: &[u8]) -> bool {
        let Some(authority) = str::from_utf8(value).ok().and_then(Authority::parse) else {
            return false;
        };
        authority.is_ip || self.names.iter().any(|name| name.eq_ignore_ascii_case(authority.host))
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self { any: false, names: vec!["localhost".to_owned()] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(hosts: &Hosts, host: &str) -> bool {
        hosts.allows([host.as_bytes()])
    }

    #[test]
    fn localhost_and_addresses_pass_by_default() {
        let hosts = Hosts::default();

        for host in [
            "localhost",
            "LocalHost:8545",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1:8545",
            "192.0.2.1",
            "[::1]",
            "[::1]:8545",
            "::1",
        ] {
            assert!(allows(&hosts, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8545",
            "localhost.evil.example",
            "localhost.",
            "xlocalhost",
        ] {
            assert!(!allows(&hosts, host), "{host}");
        }
    }

    #[test]
    fn a_listed_name_passes_in_any_case_and_with_any_port() {
        let hosts = Hosts::new([" Node.Example.org:8545 ", "", "other"]).unwrap();

        assert!(allows(&hosts, "node.example.ORG"));
        assert!(allows(&hosts, "node.example.org:1"));
        assert!(allows(&hosts, "other"));
        assert!(!allows(&hosts, "localhost"), "the list replaces the default");
        assert!(!allows(&hosts, "example.org"));
    }

    #[test]
    fn a_request_without_host_passes_and_one_with_two_does_not() {
        let nobody = Hosts::new::<&str>([]).unwrap();

        for hosts in [&nobody, &Hosts::any()] {
            assert!(hosts.allows(None));
            assert!(allows(hosts, ""));
            assert!(allows(hosts, "127.0.0.1"));
            assert!(!hosts.allows([&b"127.0.0.1"[..], b"127.0.0.1"]));
        }
    }

    #[test]
    fn a_malformed_host_is_refused_unless_any_passes() {
        for host in [":8545", "localhost:80@evil.example", "localhost:x", "local host", "[::1"] {
            assert!(!allows(&Hosts::default(), host), "{host}");
            assert!(allows(&Hosts::new(["localhost", "*"]).unwrap(), host), "{host}");
        }
        assert!(!Hosts::default().allows([&b"localhost\xff"[..]]));
    }

    #[test]
    fn an_entry_that_could_never_match_is_an_error() {
        for entry in
            ["http://localhost", "*.example.org", "two names", "localhost/", "käse.example"]
        {
            let error = Hosts::new([entry]).unwrap_err();

            assert_eq!(error, RuleError::Host { got: entry.to_owned() });
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_listed_name(value in prop::collection::vec(any::<u8>(), 1..40)) {
            let plain = String::from_utf8_lossy(&value).to_ascii_lowercase();
            let is_listed = plain.starts_with("localhost");
            let is_ip = plain.contains(['.', ':']);

            prop_assert!(!Hosts::default().allows([&value[..]]) || is_listed || is_ip);
        }
    }
}
