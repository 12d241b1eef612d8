//! A tap sees what crosses the connections of a server, each message once and in its own text.

mod common;

use std::sync::{Arc, Mutex};

use common::{
    service, soon,
    wire::{Transport, Wire},
};
use rpc::{Context, Module, Server, ServerBuilder};

/// What was sent, and the text.
type Seen = Arc<Mutex<Vec<(bool, String)>>>;

#[tokio::test]
async fn each_message_is_shown_once_whichever_way_it_goes() {
    let (builder, seen) = tapped();
    let (server, _folder) = service::started(builder.module(service::foo())).await;

    for &transport in Transport::ALL {
        let mut wire = Wire::open(&server, transport).await;
        let mut expected = Vec::new();
        for (request, answers) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#, 1),
            (r#"[{"jsonrpc":"2.0","id":2,"method":"foo_nothing"}, {"id":3}]"#, 1),
            (r#"{"jsonrpc":"2.0","method":"foo_nothing"}"#, 0),
            (r#"{"jsonrpc":"2.0","id":4,"method":"foo_subscribe","params":["count",2]}"#, 3),
        ] {
            if !transport.is_two_way() && request.contains("_subscribe") {
                continue;
            }
            wire.send(&format!(" {request}\n")).await;
            expected.push((false, request.to_owned()));
            for _ in 0..answers {
                let answer = soon("an answer", wire.receive()).await.expect("it is open");
                expected.push((true, answer.trim_end().to_owned()));
            }
        }

        assert_eq!(take(&seen), expected, "{transport:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_of_the_server_and_its_answer_are_shown_too() {
    let (builder, seen) = tapped();
    let module = Module::new("foo").method("ask", |context: Context| async move {
        context.call::<u64>("bar_number", ()).await
    });
    let server = builder.module(module).start().await.expect("it starts");
    let (theirs, ours) = tokio::io::duplex(1024);
    server.serve_stream(theirs);
    let mut wire = Wire::stream(ours);

    let ask = r#"{"jsonrpc":"2.0","id":"a","method":"foo_ask"}"#;
    wire.send(ask).await;
    let call = soon("the call", wire.receive()).await.expect("it is open");
    let number = r#"{"jsonrpc":"2.0","id":1,"result":7}"#;
    wire.send(number).await;
    let answer = soon("the answer", wire.receive()).await.expect("it is open");

    let line = |sent, text: &str| (sent, text.trim_end().to_owned());
    let expected = [line(false, ask), line(true, &call), line(false, number), line(true, &answer)];
    assert_eq!(take(&seen), expected);
    server.stop().await;
}

fn tapped() -> (ServerBuilder, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let builder = Server::builder().tap(move |event| {
        log.lock().expect("no panic").push((event.sent, event.text.to_owned()));
    });
    (builder, seen)
}

fn take(seen: &Seen) -> Vec<(bool, String)> {
    std::mem::take(&mut seen.lock().expect("no panic"))
}
