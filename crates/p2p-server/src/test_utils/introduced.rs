//! Connections that have their handshake behind them, for tests that need very many.
//!
//! ```text
//!   a stranger     accept ─▶ address judged ─▶ handshake (1 ms of arithmetic) ─▶ hello ─▶ peer
//!   introduced               address judged ──────────────────────────────────▶ hello ─▶ peer
//! ```
//!
//! Both ends take keys that everybody knows. Nothing is proven, nothing is secret, and everything from
//! the hello on is as with any connection.

use std::{io, net::IpAddr};

use bytes::Bytes;
use enode::PublicKey;
use rlpx::{
    Role, Secrets,
    stream::{Handshaken, Reader, Writer},
};

use super::{Host, Net, ordered};
use crate::{
    Link, Server,
    connection::{AnyReader, AnyWriter, Origin},
    listen,
};

impl Net {
    /// A connection from `host` whose handshake `server` takes as done, by the holder of `key`. The
    /// other end's keys are [`introduced_keys`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] when the server does not listen.
    pub fn introduce(&self, host: IpAddr, server: &Server, key: PublicKey) -> io::Result<Link> {
        let addr = server.listen_addr().ok_or(io::ErrorKind::NotConnected)?;
        let host = Host { net: self.clone(), host };
        let (ours, theirs) = host.link(addr, ordered(host.host, addr.ip()));
        listen::admit(server.shared(), theirs, Origin::Introduced(key));
        Ok(ours)
    }
}

/// The keys of every introduced connection, as the side with this role has them.
pub fn introduced_keys(role: Role) -> Secrets {
    Secrets::derive(role, &[1; 32], &[2; 32], &[3; 32], &[], &[])
}

/// What the server finds where its handshake would have been.
pub(crate) fn introduced(
    remote: PublicKey,
    reader: AnyReader,
    writer: AnyWriter,
) -> Handshaken<AnyReader, AnyWriter> {
    let (egress, ingress) = introduced_keys(Role::Recipient).into_halves();
    let (reader, writer) = (Reader::new(reader, ingress), Writer::new(writer, egress));
    Handshaken { remote, reader, writer, auth: Bytes::new(), ack: Bytes::new() }
}
