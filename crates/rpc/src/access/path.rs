//! The paths under which a server answers; anything else is status 404.
//!
//! Spec: ethereum/go-ethereum:node/rpcstack.go, `checkPath`, `validatePrefix`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use super::RuleError;

/// What the path of a request must start with; by default it must be `/` itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// Paths that start with `prefix`; if that is empty, the path `/` only.
    ///
    /// Characters are compared, not segments: `/rpc` lets `/rpc`, `/rpc/v1` and `/rpcs` pass, and
    /// `/` everything.
    ///
    /// # Errors
    ///
    /// [`RuleError::PrefixSlash`] when it does not start with `/`, [`RuleError::PrefixCharacter`]
    /// when it contains `?`, `#` or what a request writes as an escape only.
    pub fn new(prefix: &str) -> Result<Self, RuleError> {
        if !prefix.is_empty() && !prefix.starts_with('/') {
            return Err(RuleError::PrefixSlash { got: prefix.to_owned() });
        }
        let stranger = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#');
        if let Some(character) = prefix.chars().find(|c| stranger(*c)) {
            return Err(RuleError::PrefixCharacter { got: prefix.to_owned(), character });
        }
        Ok(Self(prefix.to_owned()))
    }

    /// Whether a request for this path, as it stands in the request without its query, is served.
    ///
    /// Escapes are not decoded, as they are in go-ethereum: `/%72pc` is not `/rpc`.
    pub fn matches(&self, path: &str) -> bool {
        if self.0.is_empty() { path == "/" } else { path.starts_with(&self.0) }
    }

    /// The prefix as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_must_start_with_the_prefix_or_be_the_root() {
        for (prefix, path, expected) in [
            ("", "/", true),
            ("", "/rpc", false),
            ("", "", false),
            ("", "*", false),
            ("/", "/", true),
            ("/", "/rpc", true),
            ("/rpc", "/rpc", true),
            ("/rpc", "/rpc/", true),
            ("/rpc", "/rpcs", true),
            ("/rpc", "/rp", false),
            ("/rpc", "/", false),
            ("/rpc", "/RPC", false),
            ("/rpc", "/x/rpc", false),
            ("/rpc", "/%72pc", false),
            ("/rpc/", "/rpc", false),
        ] {
            assert_eq!(PathPrefix::new(prefix).unwrap().matches(path), expected, "{prefix} {path}");
        }
        assert_eq!(PathPrefix::new(""), Ok(PathPrefix::default()));
    }

    #[test]
    fn a_prefix_that_is_no_start_of_a_path_is_refused() {
        for (prefix, expected) in [
            ("rpc", r#"path prefix "rpc" does not contain leading "/""#),
            ("?", r#"path prefix "?" does not contain leading "/""#),
            ("/a?b", r#"path prefix "/a?b" contains '?', which is not part of a path"#),
            ("/#", r##"path prefix "/#" contains '#', which is not part of a path"##),
            ("/a b", r#"path prefix "/a b" contains ' ', which is not part of a path"#),
            ("/é", r#"path prefix "/é" contains 'é', which is not part of a path"#),
        ] {
            assert_eq!(PathPrefix::new(prefix).unwrap_err().to_string(), expected);
        }
    }
}
