//! JSON-RPC as go-ethereum's clients expect it.
//!
//! Core modules (no I/O): `access::authority`, `access::cors`, `access::error`, `access::hosts`,
//! `access::methods`, `access::modules`, `access::origins`, `access::path`, `access::token`.

mod access;

pub use access::{
    Cors, Entrance, Hosts, JwtSecret, JwtSecretError, JwtSecretFile, JwtSecretFileError,
    MethodFilter, Modules, Origins, PathPrefix, RuleError, TokenError,
};
