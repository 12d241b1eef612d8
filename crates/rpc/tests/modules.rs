//! Modules made from objects: what is named can be called, and nothing else.

#![allow(clippy::unused_async, reason = "handlers are asynchronous, whether they wait or not")]

mod common;

use std::sync::{Arc, Mutex};

use common::soon;
use futures_util::stream;
use rpc::{Module, Server, code};

/// A list that grows.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<Vec<String>>>);

async fn add(words: Words, word: String, times: Option<usize>) -> Result<usize, &'static str> {
    if word.is_empty() {
        return Err("no word");
    }
    let mut words = words.0.lock().expect("no panic");
    words.extend(std::iter::repeat_n(word, times.unwrap_or(1)));
    Ok(words.len())
}

async fn all(words: Words) -> rpc::Result<stream::Iter<std::vec::IntoIter<String>>> {
    Ok(stream::iter(words.0.lock().expect("no panic").clone()))
}

/// What nobody outside should be able to do.
fn clear(words: &Words) {
    words.0.lock().expect("no panic").clear();
}

#[tokio::test]
async fn methods_and_subscriptions_of_an_object_share_it_with_whoever_made_them() {
    let words = Words::default();
    let module =
        Module::new("words").method_of(&words, "add", add).subscription_of(&words, "all", all);
    let server = Server::builder().module(module).start().await.expect("it starts");
    let client = server.attach();

    let one: usize = client.call("words_add", ("a",)).await.expect("an answer");
    let three: usize = client.call("words_add", ("b", 2)).await.expect("an answer");
    let refused = client.call::<usize>("words_add", ("",)).await.expect_err("no word");
    let mut all = client.subscribe::<String>("words", ("all",)).await.expect("a subscription");

    assert_eq!((one, three), (1, 3));
    assert_eq!(refused.to_string(), "no word");
    for expected in ["a", "b", "b"] {
        let word = soon("a word", all.next()).await.expect("one more").expect("a text");
        assert_eq!(word, expected);
    }
    assert_eq!(words.0.lock().expect("no panic").len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_named_cannot_be_called() {
    let words = Words::default();
    add(words.clone(), "a".to_owned(), None).await.expect("a word");
    let module = Module::new("words").method_of(&words, "add", add);
    let server = Server::builder().module(module).start().await.expect("it starts");

    let error = server.attach().call::<()>("words_clear", ()).await.expect_err("not exposed");

    assert_eq!(error.rpc_error().map(rpc::RpcError::code), Some(code::METHOD_NOT_FOUND));
    assert_eq!(words.0.lock().expect("no panic").len(), 1);
    clear(&words);
    assert!(words.0.lock().expect("no panic").is_empty());
    server.stop().await;
}

#[tokio::test]
async fn the_text_of_a_refusal_is_said_once_in_a_chain_of_errors() {
    let module = Module::new("foo").method("fail", || async { Err::<(), _>("no") });
    let server = Server::builder().module(module).start().await.expect("it starts");

    let error = server.attach().call::<()>("foo_fail", ()).await.expect_err("it fails");

    let chain: Vec<_> = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
    assert_eq!(chain, ["no"]);
    server.stop().await;
}
