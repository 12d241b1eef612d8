//! go-ethereum's own dialogues, line by line, on every transport.

#![allow(clippy::print_stdout, reason = "says which dialogue a failure is about")]

mod common;

use common::{
    Expectations, expect_silence, receive_expected, service,
    wire::{Transport, Wire},
};

#[tokio::test]
async fn the_dialogues_of_go_ethereum_are_held_on_every_transport() {
    let (server, _folder) = service::started(service::conformance()).await;

    for &transport in Transport::ALL {
        let mut held = 0;
        for (title, lines) in dialogues() {
            if !transport.is_two_way() && NEED_TWO_WAYS.iter().any(|name| title.starts_with(name)) {
                continue;
            }
            println!("{transport:?}: {title}");
            let mut wire = Wire::open(&server, transport).await;
            // A request's end is known, whatever was in it.
            let ends = title.starts_with("invalid-syntax") && transport.is_two_way();
            hold(&mut wire, &lines, ends).await;
            held += 1;
        }
        assert!(held > 15, "{transport:?}: only {held} dialogues");
    }
    server.stop().await;
}

async fn hold(wire: &mut Wire, lines: &[&str], ends: bool) {
    let mut expected = Expectations::new(|_| {});
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let request = line.strip_prefix("> ").expect("a request");
        while let Some(answer) = lines.next_if(|line| line.starts_with('<')) {
            expected.add(answer.trim_start_matches("< "));
        }
        // A number is complete when something follows it.
        let request = format!("{}\n", expected.request(request));
        wire.send(&request).await;
        receive_expected(wire, &mut expected).await;
    }
    if ends {
        assert_eq!(wire.receive().await, None, "the connection is closed");
    } else {
        expect_silence(wire).await;
    }
}

/// Dialogues in which the server speaks first.
const NEED_TWO_WAYS: [&str; 2] = ["revcall", "subscription"];

/// The dialogues of the file: a title and its lines.
fn dialogues() -> Vec<(&'static str, Vec<&'static str>)> {
    let text = include_str!("dialogues/conformance.txt");
    let mut dialogues: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(title) => dialogues.push((title, Vec::new())),
            None => dialogues.last_mut().expect("a title comes first").1.push(line),
        }
    }
    dialogues.retain(|(_, lines)| !lines.is_empty());
    dialogues
}
