//! The four ways to a session. Each carries complete JSON values to it and what it writes back.

pub(crate) mod alarm;
pub(crate) mod http;
pub(crate) mod inproc;
pub(crate) mod ipc;
pub(crate) mod stream;
pub(crate) mod ws;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use rand::TryRng as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::{
    link::MAX_OUTSTANDING,
    session::{CallTimeout, SessionLimits},
};

/// The limits of a connection, from those that the server was given.
pub(crate) fn session_limits(limits: &crate::Limits) -> SessionLimits {
    SessionLimits {
        in_flight: limits.in_flight,
        waiting_bytes: limits.message_bytes,
        batch_items: limits.batch_items,
        batch_response_bytes: limits.batch_response_bytes,
        subscriptions: limits.subscriptions_per_connection,
        subscriptions_of_server: limits.subscriptions,
        call_timeout: limits.call_timeout.map(|after| CallTimeout { after, timer }),
        subscription_id,
        now,
    }
}

/// What a client grants the server that may call it back. The answers to a batch of ours are a batch,
/// too, and of any size that we may ask for.
pub(crate) fn client_limits() -> Arc<SessionLimits> {
    let limits = session_limits(&crate::Limits::default());
    Arc::new(SessionLimits { batch_items: MAX_OUTSTANDING, ..limits })
}

/// Follows tokio's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn timer(after: Duration) -> BoxFuture<'static, ()> {
    Box::pin(tokio::time::sleep(after))
}

/// 16 bytes of the system's random source in hexadecimal, without leading zeros.
///
/// Source: ethereum/go-ethereum:rpc/subscription.go, `encodeID`, whose generator is seeded.
pub(crate) fn subscription_id() -> String {
    let mut bytes = [0; 16];
    // The system's source fails where there is none at all; the process's own is as good then.
    if rand::rngs::SysRng.try_fill_bytes(&mut bytes).is_err() {
        rand::fill(&mut bytes);
    }
    let hex = const_hex::encode(bytes);
    let digits = hex.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

/// Says goodbye: the other side learns of it at once, whoever else still holds the socket.
pub(crate) async fn shut_down<S: AsyncWrite + Unpin>(socket: &mut S) {
    let shut_down = poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx));
    let _ = tokio::time::timeout(GOODBYE, shut_down).await;
}

/// Says goodbye to somebody who may still be writing.
///
/// A socket that is closed with bytes unread tells the other side to forget what it has not read
/// either: the answer that says what was wrong. So whatever comes is thrown away for a moment.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) {
    let goodbye = async {
        poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await?;
        let mut thrown_away = vec![0; 16 * 1024];
        while socket.read(&mut thrown_away).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// How long saying goodbye may take.
///
/// Source: golang/go:src/net/http/server.go, `rstAvoidanceDelay`.
const GOODBYE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_id_is_hexadecimal_without_leading_zeros_and_never_the_same() {
        let ids: std::collections::BTreeSet<_> = (0..1_000).map(|_| subscription_id()).collect();

        assert_eq!(ids.len(), 1_000);
        for id in ids {
            let digits = id.strip_prefix("0x").expect("a prefix");
            assert!(!digits.starts_with('0') && digits.len() <= 32, "{id}");
            assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }
}
