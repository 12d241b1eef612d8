//! Who may call what.
//!
//! A web page in the operator's own browser can reach a server on `127.0.0.1`, also under a name of
//! its own that it points there. It cannot leave out the headers that give it away:
//!
//! ```text
//!   request ─▶ path ─▶ Host ─▶ Origin ─▶ token ─▶ namespace ─▶ method ─▶ handler
//!              404     403     403       401      └── -32601, as if it did not exist
//!              [path]  [hosts] [origins] [token]  [modules]    [methods]
//!                              WebSocket
//! ```
//!
//! Each rule is a value made from what the operator wrote, and a question that says yes or no. None
//! touches a socket or a clock; only [`secret_file`] touches a file. A rule that could never match
//! is a [`RuleError`] when it is made, so that a misspelt list does not look like a strict one.
//!
//! Header values are asked for as an iterator of bytes, because how often a header came is part of
//! the question: a second `Host`, `Origin` or `Authorization` is refused, as each reader could
//! believe another one.
//!
//! [`secret_file`]: JwtSecret::load_or_create

mod authority;
mod cors;
mod error;
mod hosts;
mod methods;
mod modules;
mod origins;
mod path;
mod secret_file;
mod token;

pub use cors::Cors;
pub use error::RuleError;
pub use hosts::Hosts;
pub use methods::MethodFilter;
pub use modules::{Entrance, Modules};
pub use origins::Origins;
pub use path::PathPrefix;
pub use secret_file::{JwtSecretFile, JwtSecretFileError};
pub use token::{JwtSecret, JwtSecretError, TokenError};

/// A header that may come once: its value, or nothing if it did not come.
fn at_most_one<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, ()> {
    let mut values = values.into_iter();
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(()),
    }
}

#[cfg(test)]
mod tests;
