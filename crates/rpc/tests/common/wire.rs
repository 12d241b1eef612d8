//! A connection as a client without any library has it.

use std::collections::VecDeque;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use rpc::Server;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::http::Http;

/// The ways to send text to a server and get text back.
pub enum Wire {
    /// A stream of bytes: a pipe or a local socket. One line is one message.
    Stream(BufReader<Box<dyn Stream>>),
    /// A frame is a message.
    Ws(Box<WebSocketStream<TcpStream>>),
    /// What is sent is answered at once; the answers wait here.
    Http(Http, VecDeque<String>),
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The transports that a dialogue can be held over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    InProcess,
    #[cfg(unix)]
    Ipc,
    Http,
    Ws,
}

impl Transport {
    pub const ALL: &[Self] = &[
        Self::InProcess,
        #[cfg(unix)]
        Self::Ipc,
        Self::Http,
        Self::Ws,
    ];

    /// Whether the server can speak first, which subscriptions and calls to the client need.
    pub fn is_two_way(self) -> bool {
        self != Self::Http
    }

    /// Whether the transport says where a message ends.
    pub fn is_framed(self) -> bool {
        matches!(self, Self::Http | Self::Ws)
    }
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
            Transport::Http => {
                let address = server.http_addr().expect("the server listens");
                Self::Http(Http::connect(address).await, VecDeque::new())
            }
            Transport::Ws => {
                let address = server.ws_addr().expect("the server listens");
                let socket = TcpStream::connect(address).await.expect("it answers");
                let url = format!("ws://{address}/");
                let upgraded = tokio_tungstenite::client_async(url, socket).await;
                Self::Ws(Box::new(upgraded.expect("an upgrade").0))
            }
        }
    }

    pub fn stream(stream: impl Stream + 'static) -> Self {
        Self::Stream(BufReader::new(Box::new(stream)))
    }

    pub async fn send(&mut self, text: &str) {
        assert!(self.try_send(text).await, "the connection is open");
    }

    /// Whether it could be sent.
    pub async fn try_send(&mut self, text: &str) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
            }
            Self::Ws(ws) => ws.send(Message::text(text)).await.is_ok(),
            Self::Http(http, answers) => {
                let answer = http.post(text).await;
                assert_eq!(answer.status, 200);
                if !answer.body.is_empty() {
                    answers.push_back(answer.body);
                }
                true
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
            Self::Ws(_) | Self::Http(..) => self.receive().await.is_some(),
        }
    }

    /// Whether the connection is open and nothing has come.
    pub fn is_silent(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.fill_buf().now_or_never().is_none(),
            Self::Ws(ws) => ws.next().now_or_never().is_none(),
            Self::Http(_, answers) => answers.is_empty(),
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
            Self::Ws(ws) => loop {
                match ws.next().await {
                    Some(Ok(Message::Text(text))) => break Some(text.as_str().to_owned()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                    Some(Ok(other)) => panic!("no text: {other:?}"),
                }
            },
            Self::Http(_, answers) => answers.pop_front(),
        }
    }
}
