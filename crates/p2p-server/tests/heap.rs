//! What connections really take from the allocator, beside what the server's own books say.
//!
//! The counter is the whole process's, with both ends of every connection and the network between
//! them, so this file has one test.

mod hostile;

use std::time::Duration;

use hostile::{FOO, Hostile, NEIGHBOUR, foo, idle, noise, pass};
use p2p_server::{MsgChannel, Peer, ProtocolError, Server, test_utils::Net};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const SECOND: Duration = Duration::from_secs(1);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// M-01, M-02, M-06, T-12, T-14: claims cost nothing, what was large is given back, an idle peer is
/// small, and who is gone leaves nothing.
#[tokio::test(start_paused = true)]
async fn memory_goes_to_what_arrived_and_comes_back() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let net = Net::new(1);
    let server = server(&net).await;
    // One visit, so that what is allocated once is there.
    drop(Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await);
    pass(SECOND * 10).await;
    let baseline = held();

    headers_that_claim_16_mib(&net, &server, baseline).await;
    claims_of_16_mib_over_a_few_bytes(&net, &server).await;
    large_messages_in_both_directions(&net, &server).await;
    idle_peers(&net, &server).await;

    pass(SECOND * 60).await;
    let left = held().saturating_sub(baseline);
    assert!(left < 256 * KIB, "{left} bytes are left when all have gone");
    server.stop().await;
}

/// M-01: peers announce a frame of 16 MB each and send nothing of it.
async fn headers_that_claim_16_mib(net: &Net, server: &Server, baseline: usize) {
    let mut peers = Vec::new();
    for _ in 0..8 {
        let mut peer = Hostile::connect(net, NEIGHBOUR, server, &["foo"]).await;
        let header = peer.frame(FOO, &vec![0; 16_000_000])[..32].to_vec();
        peer.write(&header).await.expect("open");
        pass(SECOND / 100).await;
        peers.push(peer);
    }

    let grown = held().saturating_sub(baseline) / peers.len();
    assert!(grown < 160 * KIB, "{grown} bytes a peer for a claim");
    drop(peers);
    pass(SECOND * 5).await;
}

/// T-12: the same claim in a compressed message.
async fn claims_of_16_mib_over_a_few_bytes(net: &Net, server: &Server) {
    for _ in 0..20 {
        let mut peer = Hostile::connect(net, NEIGHBOUR, server, &["foo"]).await;
        let frame = peer.frame(FOO, &[0xff, 0xff, 0xff, 0x07, 0x00, 0x61]);
        let before = total();
        peer.write(&frame).await.expect("open");
        peer.reason().await.expect("a breach");

        let allocated = total() - before;
        assert!(allocated < 64 * KIB as u64, "{allocated} bytes for an impossible claim");
    }
    pass(SECOND * 5).await;
}

/// M-06: buffers and compressors grow to a message of 15 MiB and shrink again.
async fn large_messages_in_both_directions(net: &Net, server: &Server) {
    let mut peer = Hostile::connect(net, NEIGHBOUR, server, &["foo"]).await;
    let before = held();
    for payload in [noise(15 * MIB), vec![0; 16 * MIB - 1]] {
        peer.send(FOO, &payload).await.expect("open");
        drop(payload);
        while peer.next().await.expect("open").code != FOO {}
    }
    peer.forget_buffer();

    // Some seconds of quiet, and pings that are answered.
    peer.behave(SECOND * 10).await;

    let grown = held().saturating_sub(before);
    assert!(grown < 256 * KIB, "{grown} bytes are kept after large messages");
    drop(peer);
    pass(SECOND * 5).await;
}

/// T-14 in small: both ends of an idle connection together.
async fn idle_peers(net: &Net, server: &Server) {
    let before = held();
    let mut peers = Vec::new();
    for _ in 0..100 {
        peers.push(Hostile::connect(net, NEIGHBOUR, server, &["foo"]).await);
    }
    pass(SECOND * 5).await;

    let each = held().saturating_sub(before) / peers.len();
    assert_eq!(server.peer_count(), 100);
    assert!(each < 64 * KIB, "{each} bytes for an idle peer");
}

async fn server(net: &Net) -> Server {
    let builder = net.server("frugal").max_peers(300).protocol(foo(answer));
    builder.start().await.expect("starts")
}

/// Sends back what it was sent; a stranger that never asks gets nothing.
async fn answer(peer: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    while let Ok(message) = messages.recv().await {
        messages.send_raw(0, message.payload).await?;
    }
    idle(peer, messages).await
}

/// Bytes that are allocated now.
fn held() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// Bytes that were allocated ever.
fn total() -> u64 {
    dhat::HeapStats::get().total_bytes
}
