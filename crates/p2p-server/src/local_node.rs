//! Our own identity: enode URL and signed record, kept in step with what we know of ourselves.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use enode::{Enode, NodeRecord, RecordBuilder, RecordError, SecretKey, record::entry};

/// What others are told about us. Signed when it is read and has changed since.
#[derive(Debug)]
pub(crate) struct LocalNode {
    key: SecretKey,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ip: IpAddr,
    tcp: u16,
    builder: RecordBuilder,
    signed: Option<NodeRecord>,
}

impl LocalNode {
    /// A record with these entries and, where there is a listener, its address.
    ///
    /// # Errors
    ///
    /// [`RecordError`] when the entries do not fit.
    pub(crate) fn new(
        key: SecretKey,
        seq: u64,
        ip: IpAddr,
        listener: Option<SocketAddr>,
        entries: Vec<(String, bytes::Bytes)>,
    ) -> Result<Self, RecordError> {
        let mut builder = RecordBuilder::new().seq(seq);
        builder = match ip {
            IpAddr::V4(ip) => builder.entry(&entry::Ip(ip)),
            IpAddr::V6(ip) => builder.entry(&entry::Ip6(ip)),
        };
        let tcp = listener.map_or(0, |addr| addr.port());
        if tcp != 0 {
            builder = builder.entry(&entry::Tcp(tcp));
        }
        for (name, value) in entries {
            builder = builder.raw(name, &value)?;
        }
        let signed = builder.clone().sign(&key)?;
        let state = Mutex::new(State { ip, tcp, builder, signed: Some(signed) });
        Ok(Self { key, state })
    }

    /// The current record.
    pub(crate) fn record(&self) -> Result<NodeRecord, RecordError> {
        let mut state = self.lock();
        if let Some(signed) = &state.signed {
            return Ok(signed.clone());
        }
        let signed = state.builder.clone().sign(&self.key)?;
        state.builder = signed.edit();
        state.signed = Some(signed.clone());
        Ok(signed)
    }

    /// Sets an entry, given RLP-encoded; the record gets the next sequence number when it is read.
    ///
    /// # Errors
    ///
    /// [`RecordError`] when it does not fit; then nothing changes.
    pub(crate) fn set_entry(&self, name: &str, value: &[u8]) -> Result<(), RecordError> {
        let mut state = self.lock();
        let from = match &state.signed {
            Some(signed) => signed.edit(),
            None => state.builder.clone(),
        };
        let builder = from.raw(name, value)?;
        builder.clone().sign(&self.key)?;
        state.builder = builder;
        state.signed = None;
        Ok(())
    }

    /// The URL others can dial: no UDP port as long as no discovery listens.
    pub(crate) fn enode(&self) -> Enode {
        let state = self.lock();
        Enode::new(self.key.public_key(), state.ip, state.tcp, 0)
    }

    /// The address others should use.
    pub(crate) fn ip(&self) -> IpAddr {
        self.lock().ip
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_changed_entry_gives_the_next_record() {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let listener = Some(([127, 0, 0, 1], 31020).into());
        let node =
            LocalNode::new(key, 7, Ipv4Addr::LOCALHOST.into(), listener, Vec::new()).unwrap();
        let first = node.record().unwrap();

        node.set_entry("foo", &[0x2a]).unwrap();
        node.set_entry("foo", &[0x2b]).unwrap();
        let second = node.record().unwrap();

        assert_eq!(second.seq(), first.seq() + 1);
        assert_eq!(second.raw("foo"), Some(&[0x2b][..]));
        assert_eq!(second.tcp_port(), 31020);
        assert_eq!(node.enode().to_string().rsplit('@').next(), Some("127.0.0.1:31020?discport=0"));
    }
}
