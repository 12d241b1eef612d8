//! Why a rule could not be made from what the operator wrote.

/// A rule that could never match anything. The operator is to blame, and should be told at start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// An entry of a list of host names is no host name.
    #[error("invalid host {got:?}, want a name such as `node.example.org`, or `*`")]
    Host {
        /// The entry.
        got: String,
    },
    /// An entry of a list of origins has no scheme, host and port of an origin.
    #[error("invalid origin {got:?}, want `scheme://host:port`, parts of it, or `*`")]
    Origin {
        /// The entry.
        got: String,
    },
    /// An entry of a list of methods matches no method.
    #[error("invalid method {got:?}, want `foo_bar`, `foo_*` or `foo_subscribe:name`")]
    Method {
        /// The entry.
        got: String,
    },
    /// A path prefix does not start as a path does.
    #[error("path prefix {got:?} does not contain leading \"/\"")]
    PrefixSlash {
        /// The prefix.
        got: String,
    },
    /// A path prefix contains what is never part of a path.
    #[error("path prefix {got:?} contains {character:?}, which is not part of a path")]
    PrefixCharacter {
        /// The prefix.
        got: String,
        /// The first such character.
        character: char,
    },
}
