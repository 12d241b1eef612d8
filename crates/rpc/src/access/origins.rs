//! Which web pages may open a WebSocket: the `Origin` header.
//!
//! A browser lets every page connect to every WebSocket server, and tells the server whose page it
//! is. Programs that are no browser may write there what they like, so a request without the header
//! passes.
//!
//! ```text
//!   rule                       passes                                     does not
//!   localhost                  http://localhost  https://localhost:8080   http://evil.example
//!   http://localhost           http://localhost  http://localhost:8080    https://localhost
//!   https://a.example:8443     https://a.example:8443                     https://a.example
//! ```
//!
//! A rule constrains those parts (scheme, host, port) that it names.
//!
//! Spec: ethereum/go-ethereum:rpc/websocket.go, `wsHandshakeValidator`, `ruleAllowsOrigin`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use super::{RuleError, at_most_one, authority::Authority};

/// The origins whose pages may open a WebSocket.
///
/// The default is `http://localhost`, and [`local`](Self::local) knows one name more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    rules: Vec<Rule>,
}

impl Origins {
    /// What a refused request gets, with status 403.
    pub const REFUSAL: &str = "origin not allowed";

    /// These rules; `*` among them lets any origin pass.
    ///
    /// A rule is `scheme://host:port` or a part of it: `http://localhost`, `localhost:8080`,
    /// `localhost`, `https://` for every page that came over TLS. Without a scheme it also matches
    /// an origin that has none, which some old clients send. `null` matches the origin of pages
    /// from a file, and of any page in a sandbox, so it trusts everybody.
    ///
    /// A browser leaves out the usual port of a scheme; so should a rule. White space around a rule,
    /// empty rules and what follows the port are ignored. With no rule at all only requests without
    /// the header pass; go-ethereum takes [`local`](Self::local) then.
    ///
    /// # Errors
    ///
    /// [`RuleError::Origin`] for a rule that cannot be read.
    pub fn new<S: AsRef<str>>(rules: impl IntoIterator<Item = S>) -> Result<Self, RuleError> {
        let mut origins = Self { any: false, rules: Vec::new() };
        for rule in rules {
            match rule.as_ref().trim() {
                "" => {}
                "*" => origins.any = true,
                rule => {
                    let parts = Parts::parse(rule)
                        .ok_or_else(|| RuleError::Origin { got: rule.to_owned() })?;
                    origins.rules.push(parts.into());
                }
            }
        }
        Ok(origins)
    }

    /// Any origin passes: every web page that the operator opens can use the server.
    pub fn any() -> Self {
        Self { any: true, rules: Vec::new() }
    }

    /// `http://localhost` and `http://<hostname>`, the name of this machine.
    ///
    /// A name that is no host name is left out.
    pub fn local(hostname: &str) -> Self {
        let mut origins = Self::default();
        if let Some(authority) = Authority::parse(hostname) {
            origins.rules.push(Rule::http(authority.host));
        }
        origins
    }

    /// Whether a request with these `Origin` headers may open a WebSocket.
    ///
    /// Case does not matter. No header passes; an empty one is an origin that no rule matches, and
    /// more than one are refused whatever is listed.
    pub fn allows<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> bool {
        match at_most_one(values) {
            Err(()) => false,
            Ok(None) => true,
            Ok(Some(value)) => self.any || self.allows_value(value),
        }
    }

    fn allows_value(&self, value: &[u8]) -> bool {
        let origin = str::from_utf8(value).ok().and_then(Parts::parse);
        origin.is_some_and(|origin| self.rules.iter().any(|rule| rule.allows(&origin)))
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self { any: false, rules: vec![Rule::http("localhost")] }
    }
}

/// What an origin must be like, where something is said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    scheme: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

impl Rule {
    fn http(host: &str) -> Self {
        Self { scheme: Some("http".to_owned()), host: Some(host.to_owned()), port: None }
    }

    fn allows(&self, origin: &Parts<'_>) -> bool {
        matches_part(self.scheme.as_deref(), origin.scheme)
            && matches_part(self.host.as_deref(), origin.host)
            && (self.port.is_none() || self.port == origin.port)
    }
}

impl From<Parts<'_>> for Rule {
    fn from(parts: Parts<'_>) -> Self {
        Self {
            scheme: parts.scheme.map(str::to_owned),
            host: parts.host.map(str::to_owned),
            port: parts.port,
        }
    }
}

fn matches_part(want: Option<&str>, got: Option<&str>) -> bool {
    want.is_none_or(|want| got.is_some_and(|got| got.eq_ignore_ascii_case(want)))
}

/// An origin taken apart: `scheme://host:port` or `host:port`.
#[derive(Debug)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    /// Pages from a file may say `file://`.
    host: Option<&'a str>,
    port: Option<u16>,
}

impl<'a> Parts<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let Authority { host, port, .. } = Authority::parse(text)?;
            return Some(Self { scheme: None, host: Some(host), port });
        };
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        // Old Go clients send a URL with a path where only an origin belongs.
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.is_empty() {
            return Some(Self { scheme: Some(scheme), host: None, port: None });
        }
        let Authority { host, port, .. } = Authority::parse(rest)?;
        Some(Self { scheme: Some(scheme), host: Some(host), port })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rules: &str, passing: &[&str], refused: &[&str]) {
        let origins = Origins::new(rules.split(',')).unwrap();
        for origin in passing {
            assert!(origins.allows([origin.as_bytes()]), "{rules}: {origin:?} refused");
        }
        for origin in refused {
            assert!(!origins.allows([origin.as_bytes()]), "{rules}: {origin:?} passed");
        }
    }

    /// Each row is what go-ethereum 1.17.10 answers, too.
    #[test]
    fn a_rule_constrains_the_parts_that_it_names() {
        check("*", &["", "null", "http://a", "a", "not an origin", "http://[::1"], &[]);
        check(
            "node",
            &["http://node", "https://node:1", "node", "node:1", "HTTP://Node", "foo://node/x?y"],
            &["", "null", "http://", "http://node.example", "http://a.node", "http://nodes:80"],
        );
        check(
            "https://node",
            &["https://node", "https://node:8443", "https://NODE/"],
            &["node", "node:8443", "http://node", "wss://node", "https://node.example"],
        );
        check(
            "node:8545",
            &["http://node:8545", "https://node:8545/", "node:8545"],
            &["http://node", "node", "http://node:8546", "http://a:8545", "http://node:85450"],
        );
        check(
            "https://node:8443",
            &["https://node:8443"],
            &["https://node", "http://node:8443", "https://node:8444", "node:8443"],
        );
        check(
            "https://192.0.2.7,localhost",
            &["https://192.0.2.7", "https://192.0.2.7:1", "localhost", "ftp://localhost:1"],
            &[
                "http://192.0.2.7",
                "https://1.192.0.2.7",
                "https://192.0.2.7.a",
                "https://192.0.2.8",
            ],
        );
        check("http://[::1]:80", &["http://[::1]:80"], &["http://[::1]", "http://[::2]:80"]);
        check("null", &["null"], &["http://nul", "", "file://"]);
        check("file://", &["file://", "file:///home/x.html", "file://a"], &["http://", "null"]);
        check("https://", &["https://a", "https://b:1"], &["http://a", "a", ""]);
        check("moz-extension://0a-1b", &["moz-extension://0a-1b"], &["moz-extension://0a-1c"]);
    }

    /// Here go-ethereum differs: it cannot read such rules, and ignores the user of a URL.
    #[test]
    fn bare_addresses_are_rules_and_what_is_no_origin_is_refused() {
        check(
            "127.0.0.1:80,[::1]:80",
            &["http://127.0.0.1:80", "http://[::1]:80"],
            &["http://[::1]"],
        );
        check(
            "node",
            &[],
            &[
                "http://evil@node",
                "http://node:x",
                "://node",
                "1://node",
                "http://node evil",
                "node/",
            ],
        );
    }

    #[test]
    fn by_default_pages_of_this_machine_pass_and_a_bare_host_does_not() {
        let origins = Origins::local("Box");

        for origin in ["http://localhost", "http://localhost:3000", "http://box", "http://BOX:80"] {
            assert!(origins.allows([origin.as_bytes()]), "{origin}");
        }
        for origin in ["localhost", "box", "https://localhost", "null", "http://evil.example", ""] {
            assert!(!origins.allows([origin.as_bytes()]), "{origin}");
        }
        assert!(!Origins::default().allows([&b"http://box"[..]]));
        assert_eq!(Origins::local("no host name"), Origins::default());
    }

    #[test]
    fn no_header_passes_and_two_do_not() {
        for origins in [Origins::default(), Origins::any(), Origins::new::<&str>([]).unwrap()] {
            assert!(origins.allows(None));
            assert!(!origins.allows([&b"http://localhost"[..], b"http://localhost"]));
        }
        assert!(!Origins::new([""]).unwrap().allows([&b"http://localhost"[..]]));
        assert!(!Origins::default().allows([&b"http://localhost\xff"[..]]));
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_an_error() {
        for rule in
            ["http//localhost/", "http://user@node", ":80", "http://node:http", "a b", "://"]
        {
            let error = Origins::new([rule]).unwrap_err();

            assert_eq!(error, RuleError::Origin { got: rule.to_owned() });
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            rule in "[a-z:/.@\\[\\]0-9]{0,20}",
            origin in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Ok(origins) = Origins::new([rule]) {
                origins.allows([&origin[..]]);
            }
        }

        #[test]
        fn an_origin_matches_itself_and_any_rule_that_says_less(
            scheme in "[a-z]{1,5}",
            host in "[a-z]{1,8}",
            port in 1..u16::MAX,
        ) {
            let origin = format!("{scheme}://{host}:{port}");
            for rule in [
                origin.clone(),
                format!("{scheme}://{host}"),
                format!("{host}:{port}"),
                host,
                format!("{scheme}://"),
            ] {
                prop_assert!(Origins::new([&rule]).unwrap().allows([origin.as_bytes()]), "{}", rule);
            }
            let other = Origins::new([format!("{scheme}://x{port}x")]).unwrap();
            prop_assert!(!other.allows([origin.as_bytes()]));
        }
    }
}
