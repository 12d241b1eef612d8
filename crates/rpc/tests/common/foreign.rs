//! The other side of a client, without any of our own code: it says exactly what a test makes it say.

use std::{
    convert::Infallible,
    fmt::Display,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rpc::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, DuplexStream,
    },
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::{Request as Upgrade, Response as Upgraded},
    },
};

use super::soon;

/// A server on a stream of bytes, by hand. A line is a message.
pub struct Peer<S = DuplexStream> {
    stream: BufReader<S>,
}

/// A client with such a server behind it.
pub fn client() -> (Client, Peer) {
    over(Client::builder())
}

pub fn over(builder: ClientBuilder) -> (Client, Peer) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (builder.over(ours), Peer::new(theirs))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next message of the client; `None` when it has left.
    pub async fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = soon("a message of the client", self.stream.read_line(&mut line)).await;
        match read {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("clients write JSON")),
        }
    }

    pub async fn receive(&mut self) -> Value {
        self.next().await.expect("the client is there")
    }

    /// Says something; whether anybody hears it is not asked.
    pub async fn send(&mut self, text: impl Display) {
        let _ = self.stream.write_all(text.to_string().as_bytes()).await;
    }

    /// Takes a call and gives it this result.
    pub async fn answer(&mut self, result: Value) -> Value {
        let call = self.receive().await;
        self.send(answer(&call, &result)).await;
        call
    }

    /// Answers a subscription with this id.
    pub async fn subscribe(&mut self, id: Value) {
        self.answer(id).await;
    }
}

/// The answer to a call.
pub fn answer(call: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
}

/// The value of a subscription.
pub fn value(id: impl Into<Value>, value: impl Into<Value>) -> Value {
    let params = json!({"subscription": id.into(), "result": value.into()});
    json!({"jsonrpc": "2.0", "method": "foo_subscription", "params": params})
}

/// An HTTP server that answers each request as `respond` does. Ends with its test.
pub struct HttpServer {
    pub url: String,
    /// Connections so far.
    pub connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// A request as it came: headers and body.
pub type Asked = Request<Bytes>;

impl HttpServer {
    pub async fn start(
        respond: impl Fn(Asked) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let (respond, counter) = (Arc::new(respond), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, Arc::clone(&respond)));
            }
        });
        Self { url: format!("http://{address}/"), connections, task }
    }

    /// A server that says the same to whatever it is asked.
    pub async fn saying(status: u16, body: &'static str) -> Self {
        Self::start(move |_| {
            Response::builder().status(status).body(body.to_owned()).expect("a response")
        })
        .await
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<F>(socket: TcpStream, respond: Arc<F>)
where
    F: Fn(Asked) -> Response<String> + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let respond = Arc::clone(&respond);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.expect("the body comes whole").to_bytes();
            let response = respond(Request::from_parts(parts, body));
            Ok::<_, Infallible>(response.map(|body| Full::new(Bytes::from(body))))
        }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    // The client closes when it likes.
    let _ = serving.await;
}

/// A WebSocket that a client has opened, by hand.
pub struct WsPeer(pub WebSocketStream<TcpStream>);

impl WsPeer {
    /// Takes the next connection.
    pub async fn accept(listener: &TcpListener) -> Self {
        Self::accept_asked(listener).await.1
    }

    /// The same, with what the client asked for.
    pub async fn accept_asked(listener: &TcpListener) -> (Upgrade, Self) {
        let (socket, _) = soon("a client", listener.accept()).await.expect("a connection");
        let mut asked = None;
        #[expect(clippy::result_large_err, reason = "the library's own signature")]
        let look = |request: &Upgrade, response: Upgraded| {
            asked = Some(request.clone());
            Ok(response)
        };
        let upgrading = tokio_tungstenite::accept_hdr_async(socket, look);
        let socket = soon("a websocket", upgrading).await.expect("a websocket");
        (asked.expect("it was looked at"), Self(socket))
    }

    /// The next frame; `None` when the client has left.
    pub async fn next(&mut self) -> Option<Message> {
        soon("a frame of the client", self.0.next()).await?.ok()
    }

    pub async fn receive(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("want a text, got {other:?}"),
        }
    }

    pub async fn send(&mut self, text: impl Display) {
        let _ = self.0.send(Message::text(text.to_string())).await;
    }

    pub async fn answer(&mut self, result: Value) -> Value {
        let call = self.receive().await;
        self.send(answer(&call, &result)).await;
        call
    }
}

/// A listener on a port of its own.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}
