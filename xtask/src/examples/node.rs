//! What lines of a log say about a node: its enode URL, its id, how a peer is shown.

use std::net::SocketAddr;

use serde_json::Value;

use crate::examples::log::{Check, Line, Log};
use crate::keccak::keccak256;

/// A node as its `server started` line presents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Where it listens; port 0 if it does not.
    pub(crate) address: SocketAddr,
}

impl Node {
    /// The node of this name.
    ///
    /// # Errors
    ///
    /// It never said `server started`, or its id is not the hash of its key.
    pub(crate) fn named(log: &Log, name: &str) -> Check<Self> {
        Self::of(log.said("server started").by(name).first()?)
    }

    /// The node of this name as it was when a line was printed: a chapter may start it twice.
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub(crate) fn named_before(log: &Log, name: &str, line: &Line) -> Check<Self> {
        Self::of(log.said("server started").by(name).before(line).last()?)
    }

    /// The node that a `server started` line presents.
    ///
    /// # Errors
    ///
    /// The enode does not parse, or its key does not hash to `ID`.
    pub(crate) fn of(line: &Line) -> Check<Self> {
        let url = line.text("enode")?;
        let Some((key, address)) = parse_enode(url) else {
            return Err(line.wrong("enode://<128 hex digits>@<ip>:<port>", &format!("enode={url}")));
        };
        let id = hex(&keccak256(&key));
        line.equals("ID", &Value::from(id.as_str()))?;
        Ok(Self { id, address })
    }

    /// A protocol line's `peer` shows this node: `Peer <8 bytes of the id> <ip:port>`.
    ///
    /// # Errors
    ///
    /// It shows another, or in another form.
    pub(crate) fn is_shown_in(&self, line: &Line) -> Check {
        let shown = line.text("peer")?;
        let expected = format!("Peer {} ", &self.id[..16]);
        let address = shown.strip_prefix(&expected).map(str::parse::<SocketAddr>);
        line.ensure(
            matches!(address, Some(Ok(_))),
            &format!("peer={expected}<ip:port>"),
            &format!("peer={shown}"),
        )
    }
}

/// The key and the TCP address of an enode URL with an IP address.
fn parse_enode(url: &str) -> Option<(Vec<u8>, SocketAddr)> {
    let (key, rest) = url.strip_prefix("enode://")?.split_once('@')?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !query.is_empty() && !query.starts_with("discport=") {
        return None;
    }
    let key = from_hex(key).filter(|key| key.len() == 64)?;
    Some((key, address.parse().ok()?))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enode_gives_its_key_and_its_tcp_address() {
        let url = format!("enode://{}@127.0.0.1:30303?discport=0", "ab".repeat(64));

        let (key, address) = parse_enode(&url).unwrap();

        assert_eq!(key, [0xab; 64]);
        assert_eq!(address, "127.0.0.1:30303".parse().unwrap());
    }

    #[test]
    fn what_is_no_enode_is_refused() {
        let key = "ab".repeat(64);
        for url in [
            format!("enode://{}@127.0.0.1:1", "ab".repeat(63)),
            format!("enode://{}@127.0.0.1:1", "zz".repeat(64)),
            format!("enode://{key}@127.0.0.1"),
            format!("enode://{key}@127.0.0.1:65536"),
            format!("enode://{key}@127.0.0.1:1?port=2"),
            format!("http://{key}@127.0.0.1:1"),
        ] {
            assert!(parse_enode(&url).is_none(), "{url}");
        }
    }
}
