//! A hook that sees every message of a server, as its text crosses a connection.
//!
//! For learning and for tests. Messages are never logged; whoever wants to see them installs a tap
//! and decides what to show.
//!
//! ```text
//!   client ──▶ {"jsonrpc":"2.0","id":1,"method":"foo_helloWorld"}        ──▶ server    sent: false
//!   client ◀── {"jsonrpc":"2.0","id":1,"result":"foobar"}                ◀── server    sent: true
//! ```

use std::{fmt, sync::Arc};

use crate::Caller;

/// A message that crossed a connection: a call, an answer, a batch, a notification.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TapEvent<'a> {
    /// Whom it came from or goes to.
    pub caller: Caller,
    /// Whether the server sent it.
    pub sent: bool,
    /// Its text: one JSON value, without white space around it.
    pub text: &'a str,
}

/// The installed hook.
#[derive(Clone)]
pub(crate) struct Tap(pub(crate) Arc<dyn Fn(TapEvent<'_>) + Send + Sync>);

impl Tap {
    pub(crate) fn show(&self, caller: Caller, sent: bool, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        (self.0)(TapEvent { caller, sent, text: &text });
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
