//! Where connections come from: TCP, or something that behaves like it.
//!
//! The server asks a [`Transport`] to listen and to dial and gets [`Link`]s, two byte streams and
//! two addresses. [`Tcp`] is the real one; the in-memory network of `test_utils` is another.

use std::{fmt, io, net::SocketAddr};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// Makes and accepts connections.
pub trait Transport: Send + Sync + 'static {
    /// Listens on `addr`; port 0 lets the system choose.
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Connects to `addr`. The caller sets the deadline.
    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Link>>;

    /// The addresses behind a DNS name, each with `port`.
    fn resolve(&self, name: String, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>>;
}

/// Waits for others to connect.
pub trait Listener: Send {
    /// The next connection. Cancel-safe.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Link>>;

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connected pair of byte streams.
pub struct Link {
    /// What the other side writes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the other side reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// Connections over TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr).await?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Link>> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            let remote = stream.peer_addr()?;
            link(stream, remote)
        })
    }

    fn resolve(&self, name: String, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Link>> {
        Box::pin(async move {
            loop {
                let (stream, remote) = Self::accept(self).await?;
                // A connection that was reset in the queue is no trouble of the listener's. Asking
                // it for its peer would say "not connected", for one.
                match link(stream, remote) {
                    Ok(link) => return Ok(link),
                    Err(error) => tracing::trace!(addr = %remote, %error, "dead on arrival"),
                }
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

/// `remote` is not asked of the socket: one that was reset before it was accepted does not know.
fn link(stream: TcpStream, remote: SocketAddr) -> io::Result<Link> {
    // Frames are written whole and a lone message must not wait for a second one.
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (reader, writer) = stream.into_split();
    Ok(Link { reader: Box::new(reader), writer: Box::new(writer), local, remote })
}
