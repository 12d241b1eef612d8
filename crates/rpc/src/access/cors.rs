//! Which web pages may read answers over HTTP: cross-origin resource sharing.
//!
//! A browser asks before a page posts JSON to another origin, and the answer is in headers:
//!
//! ```text
//!   OPTIONS /   Origin: http://app.example      ─▶
//!                    ◀─  access-control-allow-origin: http://app.example
//!                        access-control-allow-methods: POST, GET    max-age: 600
//! ```
//!
//! The server does not refuse a request for its origin here; without the headers the browser does.
//! This is what the transport is configured with; the layer that writes the headers is tower-http's.
//!
//! Spec: ethereum/go-ethereum:node/rpcstack.go, `newCorsHandler`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::time::Duration;

use http::Method;

use super::RuleError;

/// The origins whose pages may use the server over HTTP; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    any: bool,
    /// In lower case.
    patterns: Vec<String>,
}

impl Cors {
    /// The methods that a page may use.
    pub const METHODS: [Method; 2] = [Method::POST, Method::GET];

    /// How long a browser may remember the answer.
    pub const MAX_AGE: Duration = Duration::from_secs(600);

    /// These origins, whole as a browser writes them: `http://app.example:8080`.
    ///
    /// `*` lets any origin pass, and one `*` within an entry stands for any text, as in
    /// `https://*.example.org`. White space around an entry and empty entries are ignored; no entry
    /// leaves sharing off.
    ///
    /// # Errors
    ///
    /// [`RuleError::Origin`] for an entry with a second `*` or with white space in it.
    pub fn new<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, RuleError> {
        let mut cors = Self::default();
        for origin in origins {
            match origin.as_ref().trim() {
                "" => {}
                "*" => cors.any = true,
                origin
                    if origin.matches('*').count() > 1 || origin.contains(char::is_whitespace) =>
                {
                    return Err(RuleError::Origin { got: origin.to_owned() });
                }
                origin => cors.patterns.push(origin.to_ascii_lowercase()),
            }
        }
        Ok(cors)
    }

    /// Any origin: every web page that the operator opens can call the server.
    pub fn any() -> Self {
        Self { any: true, patterns: Vec::new() }
    }

    /// Whether no origin is listed, so that no header is written.
    pub fn is_off(&self) -> bool {
        !self.any && self.patterns.is_empty()
    }

    /// Whether every origin passes.
    pub fn allows_any(&self) -> bool {
        self.any
    }

    /// Whether pages of this origin, the value of an `Origin` header, may read answers.
    pub fn allows(&self, origin: &[u8]) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.any || self.patterns.iter().any(|pattern| matches(pattern, &origin))
    }
}

fn matches(pattern: &str, origin: &[u8]) -> bool {
    let Some((start, end)) = pattern.split_once('*') else {
        return pattern.as_bytes() == origin;
    };
    origin.strip_prefix(start.as_bytes()).is_some_and(|rest| rest.ends_with(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors<const N: usize>(origins: [&str; N]) -> Cors {
        Cors::new(origins).unwrap()
    }

    #[test]
    fn sharing_is_off_until_an_origin_is_listed() {
        assert!(Cors::default().is_off());
        assert!(cors(["", " "]).is_off());
        assert!(!Cors::default().allows(b"http://localhost"));

        for on in [Cors::any(), cors(["http://a"])] {
            assert!(!on.is_off());
        }
    }

    #[test]
    fn an_origin_is_compared_whole() {
        let app = cors(["test", " HTTP://App.example:8080 "]);

        assert!(app.allows(b"http://app.EXAMPLE:8080"));
        assert!(app.allows(b"test"));
        for other in ["http://app.example", "https://app.example:8080", "http://test", "", "tes"] {
            assert!(!app.allows(other.as_bytes()), "{other}");
        }
        assert!(!app.allows_any());
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let app = cors(["https://*.example.org"]);

        assert!(app.allows(b"https://a.b.example.org"));
        assert!(!app.allows(b"https://example.org"));
        assert!(!app.allows(b"https://a.example.org.evil"));
        assert!(!cors(["ab*ba"]).allows(b"aba"), "the two ends may not overlap");
        for any in [Cors::any(), cors(["http://a", "*"])] {
            assert!(any.allows_any() && any.allows(b"\xff"));
        }
    }

    #[test]
    fn an_entry_that_could_never_match_is_an_error() {
        for entry in ["http://*.*", "http://a http://b"] {
            assert_eq!(Cors::new([entry]), Err(RuleError::Origin { got: entry.to_owned() }));
        }
    }
}
