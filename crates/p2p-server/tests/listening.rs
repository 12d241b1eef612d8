//! The listener under attack: whatever happens to one connection, or to the system for a moment,
//! the next one is accepted.

mod hostile;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use enode::SecretKey;
use futures_util::future::BoxFuture;
use hostile::{Hostile, NEIGHBOUR, foo, idle, pass};
use p2p_server::{Link, Listener, Server, Tcp, Transport, test_utils::Net};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tracing::{Level, Metadata, Subscriber, span};

const SOON: Duration = Duration::from_secs(20);

/// L-13: a connection that was reset while it waited in the system's queue has no peer address any
/// more. Whoever can open a connection could have ended the listener with that.
#[tokio::test]
async fn a_connection_reset_before_it_is_accepted_does_not_end_the_listener() {
    let builder = Server::builder(SecretKey::random()).listen("127.0.0.1:0").max_peers(3);
    let server = builder.protocol(foo(idle)).start().await.expect("starts");
    let addr = server.listen_addr().expect("listening");

    // Nothing here waits, so the server accepts them only when all are dead.
    for _ in 0..100 {
        let stream = std::net::TcpStream::connect(addr).expect("open");
        stream.set_nonblocking(true).expect("a socket");
        TcpStream::from_std(stream).expect("a socket").set_zero_linger().expect("a socket");
    }

    // Nor does any of them cost the others a pause of 200 ms.
    let honest = async {
        let link = Tcp.dial(addr).await.expect("open");
        let mut peer = Hostile::over(link, &server, SecretKey::random()).await.expect("handshake");
        peer.greet(&["foo"]).await;
    };
    timeout(SOON / 2, honest).await.expect("accepted at once");
    server.stop().await;
}

/// L-13: EMFILE, ENFILE and ECONNABORTED neither end the loop nor make it spin: it waits 200 ms
/// after each.
#[tokio::test(start_paused = true)]
async fn errors_of_the_moment_are_waited_out_200_ms_each() {
    let net = Net::new(1);
    let errors = [EMFILE, ENFILE, ECONNABORTED, EMFILE, ENOBUFS].map(io::Error::from_raw_os_error);
    let (server, calls) = troubled(&net, errors).await;
    let start = Instant::now();

    let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
    peer.greet(&["foo"]).await;

    let took = start.elapsed();
    assert!((1_000..1_100).contains(&took.as_millis()), "{took:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 7, "five errors, one connection, one that waits");
    server.stop().await;
}

/// L-13: a trouble that stays is said at most once in ten seconds.
#[tokio::test(start_paused = true)]
async fn a_lasting_trouble_is_logged_once_in_ten_seconds() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let net = Net::new(1);
    let errors = std::iter::repeat_with(|| io::Error::from_raw_os_error(EMFILE)).take(1_000);
    let (server, _) = troubled(&net, errors).await;

    pass(Duration::from_secs(95)).await;

    assert_eq!(warnings.count.load(Ordering::Relaxed), 10);
    server.stop().await;
}

/// L-13: a listener that is broken for good ends its loop, and the server can still be stopped.
#[tokio::test(start_paused = true)]
async fn a_listener_that_is_broken_for_good_is_given_up() {
    let net = Net::new(1);
    let errors = std::iter::repeat_with(|| io::ErrorKind::BrokenPipe.into()).take(10);
    let (server, calls) = troubled(&net, errors).await;

    pass(Duration::from_secs(10)).await;

    assert_eq!(calls.load(Ordering::Relaxed), 1);
    server.stop().await;
    assert!(!server.is_running());
}

/// A server whose listener first fails in these ways.
async fn troubled(
    net: &Net,
    errors: impl IntoIterator<Item = io::Error>,
) -> (Server, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let transport = Troubled {
        network: Box::new(net.transport([10, 0, 0, 1].into())),
        errors: Mutex::new(errors.into_iter().collect()),
        calls: Arc::clone(&calls),
    };
    let builder = net.server("troubled").transport(transport).protocol(foo(idle));
    (builder.start().await.expect("starts"), calls)
}

/// The network of a machine that runs out of something.
struct Troubled {
    network: Box<dyn Transport>,
    errors: Mutex<VecDeque<io::Error>>,
    calls: Arc<AtomicUsize>,
}

impl Transport for Troubled {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.network.listen(addr).await?;
            let errors = std::mem::take(&mut *self.errors.lock().expect("not poisoned"));
            let calls = Arc::clone(&self.calls);
            Ok(Box::new(TroubledListener { listener, errors, calls }) as Box<dyn Listener>)
        })
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Link>> {
        self.network.dial(addr)
    }

    fn resolve(&self, name: String, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        self.network.resolve(name, port)
    }
}

struct TroubledListener {
    listener: Box<dyn Listener>,
    errors: VecDeque<io::Error>,
    calls: Arc<AtomicUsize>,
}

impl Listener for TroubledListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Link>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.errors.pop_front() {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.listener.accept(),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Counts warnings about accepting.
#[derive(Clone, Default)]
struct Warnings {
    count: Arc<AtomicUsize>,
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().ends_with("listen")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() <= Level::WARN {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

// The numbers of Linux; elsewhere they are errors of another name, and of the moment all the same.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ECONNABORTED: i32 = 103;
const ENOBUFS: i32 = 105;
