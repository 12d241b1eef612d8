//! A connection as a client without any library has it.

use futures_util::FutureExt as _;
use rpc::Server;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

/// The ways to send text to a server and get text back.
pub enum Wire {
    /// A stream of bytes: a pipe or a local socket. One line is one message.
    Stream(BufReader<Box<dyn Stream>>),
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The transports that a dialogue can be held over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    InProcess,
    #[cfg(unix)]
    Ipc,
}

impl Transport {
    #[cfg(unix)]
    pub const ALL: &[Self] = &[Self::InProcess, Self::Ipc];
    #[cfg(not(unix))]
    pub const ALL: &[Self] = &[Self::InProcess];
}

impl Wire {
    pub async fn open(server: &Server, transport: Transport) -> Self {
        match transport {
            Transport::InProcess => {
                let (theirs, ours) = tokio::io::duplex(1024);
                server.serve_stream(theirs);
                Self::stream(ours)
            }
            #[cfg(unix)]
            Transport::Ipc => {
                let path = server.ipc_path().expect("the server has a socket");
                Self::stream(tokio::net::UnixStream::connect(path).await.expect("it answers"))
            }
        }
    }

    pub fn stream(stream: impl Stream + 'static) -> Self {
        Self::Stream(BufReader::new(Box::new(stream)))
    }

    pub async fn send(&mut self, text: &str) {
        match self {
            Self::Stream(stream) => {
                stream.write_all(text.as_bytes()).await.expect("the connection is open");
                stream.flush().await.expect("the connection is open");
            }
        }
    }

    /// Whether it could be sent.
    pub async fn try_send(&mut self, text: &str) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
            }
        }
    }

    /// Takes whatever there is; `false` when the connection was closed, in the middle of a message or
    /// not.
    pub async fn receive_any(&mut self) -> bool {
        match self {
            Self::Stream(stream) => {
                let taken = stream.fill_buf().await.map_or(0, <[u8]>::len);
                stream.consume(taken);
                taken > 0
            }
        }
    }

    /// Whether the connection is open and nothing has come.
    pub fn is_silent(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.fill_buf().now_or_never().is_none(),
        }
    }

    /// The next message; `None` when the connection was closed.
    pub async fn receive(&mut self) -> Option<String> {
        match self {
            Self::Stream(stream) => {
                let mut line = String::new();
                match stream.read_line(&mut line).await {
                    Ok(0) | Err(_) => None,
                    Ok(_) => {
                        assert!(line.ends_with('\n'), "every message ends with a newline: {line}");
                        Some(line)
                    }
                }
            }
        }
    }
}
