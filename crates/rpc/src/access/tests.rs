//! Hosts and origins together: the rows of test T-25 that are about headers of a browser.

use super::*;

/// What a WebSocket upgrade gets, 101 or 403; over HTTP the origin makes no difference.
fn status(host: Option<&str>, origin: Option<&str>, websocket: bool) -> u16 {
    let hosts = Hosts::new(["localhost", "node.example"]).unwrap();
    let origins = Origins::new(["http://localhost", "https://app.example"]).unwrap();
    let served = hosts.allows(host.map(str::as_bytes))
        && (!websocket || origins.allows(origin.map(str::as_bytes)));
    match (served, websocket) {
        (false, _) => 403,
        (true, false) => 200,
        (true, true) => 101,
    }
}

#[test]
fn every_host_with_every_origin_has_its_status() {
    let origins = [None, Some("null"), Some("https://app.example"), Some("http://other.example")];
    for (host, upgrades) in [
        (Some("localhost:8545"), [101, 403, 101, 403]),
        (Some("127.0.0.1:8545"), [101, 403, 101, 403]),
        (Some("[::1]:8545"), [101, 403, 101, 403]),
        (Some("node.example"), [101, 403, 101, 403]),
        (Some("evil.example"), [403, 403, 403, 403]),
        (None, [101, 403, 101, 403]),
    ] {
        for (origin, upgrade) in origins.into_iter().zip(upgrades) {
            let call = if host == Some("evil.example") { 403 } else { 200 };

            assert_eq!(status(host, origin, true), upgrade, "WebSocket, {host:?}, {origin:?}");
            assert_eq!(status(host, origin, false), call, "HTTP, {host:?}, {origin:?}");
        }
    }
}

#[test]
fn a_header_that_comes_twice_is_refused_even_if_both_are_the_same() {
    assert_eq!(at_most_one([]), Ok(None));
    assert_eq!(at_most_one([&b"a"[..]]), Ok(Some(&b"a"[..])));
    assert_eq!(at_most_one([&b"a"[..], b"a"]), Err(()));
    assert_eq!(at_most_one([&b""[..], b""]), Err(()));
}
