//! What it costs to find where JSON values end, beside `serde_json`, which checks as much but must
//! have a value whole.
//!
//! `cargo bench -p rpc --bench scan`

#![expect(missing_docs, reason = "the macros of criterion write functions without")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpc::fuzz::count_values;
use serde_json::value::RawValue;

criterion_group!(benches, scan);
criterion_main!(benches);

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for (name, document) in documents() {
        let document = document.as_bytes();
        group.throughput(Throughput::Bytes(document.len() as u64));

        group.bench_function(format!("at_once/{name}"), |b| {
            b.iter(|| count_values(document, document.len()).unwrap());
        });
        group.bench_function(format!("in_pieces_of_4KiB/{name}"), |b| {
            b.iter(|| count_values(document, 4096).unwrap());
        });
        group.bench_function(format!("serde_json/{name}"), |b| {
            b.iter(|| {
                let values = serde_json::Deserializer::from_slice(document).into_iter();
                values.filter(|value: &serde_json::Result<&RawValue>| value.is_ok()).count()
            });
        });
    }
}

fn documents() -> [(&'static str, String); 7] {
    let numbers: Vec<_> = (0..100_000).map(|i| (i * 7919).to_string()).collect();
    [
        ("string/1KiB", format!("\"{}\"", repeat("0123456789abcdef", 1024))),
        ("string/1MiB", format!("\"{}\"", repeat("0123456789abcdef", 1024 * 1024))),
        ("letters/1MiB", format!("\"{}\"", repeat(LETTERS, 1024 * 1024))),
        ("request/58B", REQUEST.to_owned()),
        ("requests/1MiB", repeat(REQUEST, 1024 * 1024)),
        ("blocks/1MiB", format!("[{BLOCK}{}]", repeat(&format!(", {BLOCK}"), 1024 * 1024))),
        ("numbers/1MiB", format!("[{}]", numbers.join(","))),
    ]
}

fn repeat(text: &str, size: usize) -> String {
    text.repeat(size / text.len())
}

/// A sentence in three scripts.
const LETTERS: &str = "a tower of peers, \u{431}\u{430}\u{448}\u{43d}\u{44f}, \u{5854}\u{3002}";

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#;

const BLOCK: &str = r#"{
  "number": "0x1b4", "gas": 21000, "full": false, "uncles": [], "miner": null,
  "hash": "0xdc0818cf78f21a8e70579cb46a43643f78291264dda342ae31049421c82d21ae"
}"#;
