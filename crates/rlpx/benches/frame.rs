//! What a frame costs each side, beside a plain codec that follows the specification word for
//! word, and what compression adds.
//!
//! `cargo bench -p rlpx --bench frame`

#![expect(missing_docs, reason = "the macros of criterion write functions without")]
#![allow(dead_code, reason = "the tests use the rest of the plain codec")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

#[path = "../tests/common/reference.rs"]
mod reference;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rlpx::{
    Role, Secrets,
    frame::MAX_SIZE,
    snappy::{self, Scratch},
};

use self::reference::Reference;

criterion_group!(benches, frame, compression);
criterion_main!(benches);

const SIZES: [(&str, usize); 4] =
    [("64B", 64), ("1KiB", 1024), ("32KiB", 32 * 1024), ("1MiB", 1024 * 1024)];

fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for (name, size) in SIZES {
        let payload = random(size);
        group.throughput(Throughput::Bytes(size as u64));

        group.bench_function(format!("write/{name}"), |b| {
            let (mut egress, _) = secrets(Role::Initiator).into_halves();
            let mut out = BytesMut::new();
            b.iter(|| {
                out.clear();
                egress.frame(16, &payload, &mut out).unwrap()
            });
        });
        group.bench_function(format!("write_plain/{name}"), |b| {
            let mut reference = Reference::new(&[1; 32], &[2; 32], b"seed");
            b.iter(|| reference.message(16, &payload));
        });
        group.bench_function(format!("read/{name}"), |b| {
            let (mut egress, _) = secrets(Role::Initiator).into_halves();
            let (_, mut ingress) = secrets(Role::Recipient).into_halves();
            ingress.set_max_frame(MAX_SIZE);
            b.iter_batched(
                || {
                    let mut wire = BytesMut::new();
                    egress.frame(16, &payload, &mut wire).unwrap();
                    wire
                },
                |mut wire| ingress.next(&mut wire).unwrap().unwrap(),
                // One at a time: each frame can be read only in its place.
                BatchSize::PerIteration,
            );
        });
    }
}

fn compression(c: &mut Criterion) {
    let mut group = c.benchmark_group("snappy");
    for (name, size) in SIZES {
        let payload: Vec<u8> = b"go-ethereum ".iter().copied().cycle().take(size).collect();
        let mut scratch = Scratch::new();
        let body = snappy::compress(&payload, &mut scratch).unwrap().to_vec();
        group.throughput(Throughput::Bytes(size as u64));

        group.bench_function(format!("compress/{name}"), |b| {
            b.iter(|| snappy::compress(&payload, &mut scratch).unwrap().len());
        });
        group.bench_function(format!("decompress/{name}"), |b| {
            b.iter(|| snappy::decompress(&body, snappy::MAX_MESSAGE).unwrap());
        });
    }
}

fn secrets(role: Role) -> Secrets {
    Secrets::derive(role, &[7; 32], &[1; 32], &[2; 32], b"auth", b"ack")
}

fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes[..]);
    bytes
}
