//! The handshake over a connection: exactly its two packets are read and written.
//!
//! A packet is read in two steps, its size and then the rest, so that nothing is allocated for a
//! sender before its claim was checked, and so that the bytes behind the packet stay where they
//! are: they belong to the first frame.

use std::fmt;

use bytes::Bytes;
use enode::{PublicKey, SecretKey};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Reader, Writer};
use crate::{
    error::HandshakeError,
    handshake::{Established, Initiator, Randomness, Recipient, packet_len},
};

/// A connection whose handshake is done.
pub struct Handshaken<R, W> {
    /// The remote node's key: whom we dialed, or who claims to have dialed us. The claim is proven
    /// by the first frame that can be read.
    pub remote: PublicKey,
    /// The reading direction.
    pub reader: Reader<R>,
    /// The writing direction.
    pub writer: Writer<W>,
    /// The auth packet as it was on the wire.
    pub auth: Bytes,
    /// The ack packet as it was on the wire.
    pub ack: Bytes,
}

/// Shakes hands with the node that holds `remote`, which we dialed.
///
/// Sets no deadline; wrap it in one. Not cancel-safe: a cancelled handshake leaves the connection
/// of no use.
///
/// # Errors
///
/// What is wrong with the ack, or [`HandshakeError::UnexpectedEof`] or [`HandshakeError::Io`] for
/// the connection. Nothing is to be sent after any of them.
pub async fn connect<R, W>(
    mut reader: R,
    mut writer: W,
    key: &SecretKey,
    remote: &PublicKey,
    randomness: Randomness,
) -> Result<Handshaken<R, W>, HandshakeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (auth, initiator) = Initiator::new(key, remote, randomness);
    write_packet(&mut writer, &auth).await?;
    let ack = read_packet(&mut reader).await?;
    let established = initiator.on_ack(&ack)?;
    Ok(Handshaken::new(established, reader, writer, auth, ack))
}

/// Shakes hands with whoever dialed us.
///
/// Sets no deadline; wrap it in one. Not cancel-safe: a cancelled handshake leaves the connection
/// of no use.
///
/// # Errors
///
/// What is wrong with the auth, or [`HandshakeError::UnexpectedEof`] or [`HandshakeError::Io`] for
/// the connection. Nothing has been sent then, and nothing is to be.
pub async fn accept<R, W>(
    mut reader: R,
    mut writer: W,
    key: &SecretKey,
    randomness: Randomness,
) -> Result<Handshaken<R, W>, HandshakeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let auth = read_packet(&mut reader).await?;
    let (ack, established) = Recipient::new(key).on_auth(&auth, randomness)?;
    write_packet(&mut writer, &ack).await?;
    Ok(Handshaken::new(established, reader, writer, auth, ack))
}

impl<R, W> Handshaken<R, W> {
    fn new(established: Established, reader: R, writer: W, auth: Bytes, ack: Bytes) -> Self {
        let Established { remote, secrets } = established;
        let (egress, ingress) = secrets.into_halves();
        Self {
            remote,
            reader: Reader::new(reader, ingress),
            writer: Writer::new(writer, egress),
            auth,
            ack,
        }
    }
}

impl<R, W> fmt::Debug for Handshaken<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshaken").field("remote", &self.remote).finish_non_exhaustive()
    }
}

async fn read_packet<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Bytes, HandshakeError> {
    let mut prefix = [0; 2];
    reader.read_exact(&mut prefix).await?;
    let mut packet = vec![0; packet_len(prefix)?];
    let (head, rest) = packet.split_at_mut(prefix.len());
    head.copy_from_slice(&prefix);
    reader.read_exact(rest).await?;
    Ok(packet.into())
}

async fn write_packet<W: AsyncWrite + Unpin>(
    writer: &mut W,
    packet: &[u8],
) -> Result<(), HandshakeError> {
    writer.write_all(packet).await?;
    Ok(writer.flush().await?)
}
