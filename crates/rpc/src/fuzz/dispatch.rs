//! A session, fed with whatever comes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    task::{Context as TaskContext, Waker},
};

use ::bytes::BytesMut;
use futures_util::stream;
use serde_json::Value;

use crate::{
    AnyBytes, Caller, Context, Limits, Module, RpcError, TransportKind,
    api::{Access, Api},
    link::Link,
    scan::{Scan, ScanLimits, Scanner},
    session::{Input, Session},
    transport,
};

/// Feeds bytes in pieces to a session with methods of every kind, and looks at what it answers.
///
/// The first four bytes are the lengths of the pieces, over and over; the rest is what a client
/// writes.
///
/// # Panics
///
/// When an answer is no JSON-RPC message, has an id that was not sent, or when the answers grow out of
/// proportion to what was asked.
pub fn dispatch(data: &[u8]) {
    let Some((lengths, input)) = data.split_first_chunk::<4>() else { return };
    let mut client = Client::new();
    let mut lengths = lengths.iter().cycle().map(|length| usize::from(*length).max(1));
    let mut rest = input;
    while !rest.is_empty() && client.open {
        let (piece, later) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        client.send(piece);
        rest = later;
    }
    let most = OUT_OF_EACH.saturating_mul(input.len()).saturating_add(OUT_OF_EACH);
    assert!(client.received <= most, "{} bytes for {}", client.received, input.len());
}

struct Client {
    session: Session,
    scanner: Scanner,
    unread: BytesMut,
    ids: BTreeSet<String>,
    /// Something was sent that `serde_json` has no value for: then nothing can be said of ids.
    any_id: bool,
    received: usize,
    open: bool,
}

impl Client {
    fn new() -> Self {
        let caller = Caller::new(TransportKind::InProcess, None);
        let link = Arc::new(Link::new(caller, true, true));
        let api = Arc::new(Api::new(&[module()], &Access::everything(), Arc::default()));
        let limits = Limits { batch_items: 8, batch_response_bytes: 256, ..Limits::default() };
        let session_limits = Arc::new(transport::session_limits(&limits));
        Self {
            session: Session::new(link, api, session_limits, true),
            scanner: Scanner::new(ScanLimits { max_bytes: 4 * 1024, max_depth: 16 }),
            unread: BytesMut::new(),
            ids: BTreeSet::from(["null".to_owned()]),
            any_id: false,
            received: 0,
            open: true,
        }
    }

    /// Does what the driver of a stream does.
    fn send(&mut self, piece: &[u8]) {
        let mut cx = TaskContext::from_waker(Waker::noop());
        self.unread.extend_from_slice(piece);
        while self.open {
            match self.scanner.scan(&self.unread) {
                Ok(Scan::Value(range)) => {
                    let mut value = self.unread.split_to(range.end);
                    let value = value.split_off(range.start).freeze();
                    self.note_ids(&value);
                    self.session.receive(Input::Owned(value), &mut cx);
                }
                Ok(Scan::Incomplete { discard }) => {
                    drop(self.unread.split_to(discard));
                    break;
                }
                Err(error) => {
                    self.session.receive_garbage(&RpcError::parse(error.to_string()));
                    self.open = false;
                }
            }
        }
        self.session.poll(&mut cx);
        self.session.drain(&cx);
        while let Some(message) = self.session.out.next_frame() {
            self.received = self.received.saturating_add(message.len());
            self.judge(&message);
        }
    }

    fn note_ids(&mut self, value: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(value) else {
            self.any_id = true;
            return;
        };
        let items = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        self.ids.extend(items.iter().filter_map(|item| item.get("id")).map(Value::to_string));
    }

    fn judge(&self, message: &[u8]) {
        let message: Value = serde_json::from_slice(message).expect("JSON");
        let items = message.as_array().cloned().unwrap_or_else(|| vec![message]);
        assert!(!items.is_empty(), "an empty batch of answers");
        for item in items {
            assert_eq!(item["jsonrpc"], "2.0", "{item}");
            let is_answer = item.get("result").is_some() != item.get("error").is_some();
            let is_call = item.get("method").is_some();
            assert!(is_answer != is_call, "{item}");
            let id = item["id"].to_string();
            assert!(is_call || self.any_id || self.ids.contains(&id), "{item}");
        }
    }
}

/// Methods that are done at once, later, never; that fail, subscribe, and call back.
fn module() -> Module {
    Module::new("foo")
        .method("add", |a: i64, b: Option<i64>| async move {
            a.checked_add(b.unwrap_or(1)).ok_or("overflow")
        })
        .method("echo", |value: Value| async move { crate::Result::Ok(value) })
        .method("bytes", |bytes: AnyBytes| async move { crate::Result::Ok(bytes) })
        .method("later", || async {
            tokio::task::yield_now().await;
            crate::Result::Ok(())
        })
        .method("never", std::future::pending::<crate::Result<()>>)
        .method("back", |context: Context, method: String| async move {
            context.call::<Value>(&method, ()).await
        })
        .subscription("count", |n: u8| async move { crate::Result::Ok(stream::iter(0..n)) })
        .subscription("never", || async { crate::Result::Ok(stream::pending::<u8>()) })
}

/// The largest part of an answer that a byte of a request can be, in bytes: a digit in a batch is an
/// invalid request, and a number of three digits makes 255 values.
const OUT_OF_EACH: usize = 1_024;
