//! What a handshake costs each side: four multiplications on the curve, and a signature or its
//! recovery.
//!
//! `cargo bench -p rlpx --bench handshake`

#![expect(missing_docs, reason = "the macros of criterion write functions without")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use enode::SecretKey;
use rlpx::handshake::{Initiator, Randomness, Recipient};

criterion_group!(benches, handshake);
criterion_main!(benches);

fn handshake(c: &mut Criterion) {
    let (ours, theirs) = (SecretKey::random(), SecretKey::random());
    let remote = theirs.public_key();
    let draw = || Randomness::generate(&mut rand::rng());
    let mut group = c.benchmark_group("handshake");

    group.bench_function("draw", |b| b.iter(draw));
    group.bench_function("auth", |b| {
        b.iter_batched(draw, |it| Initiator::new(&ours, &remote, it), BatchSize::SmallInput);
    });
    group.bench_function("on_auth", |b| {
        let (auth, _) = Initiator::new(&ours, &remote, draw());
        b.iter_batched(
            draw,
            |it| Recipient::new(&theirs).on_auth(&auth, it),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("on_ack", |b| {
        b.iter_batched(
            || {
                let (auth, waiting) = Initiator::new(&ours, &remote, draw());
                let answer = Recipient::new(&theirs).on_auth(&auth, draw());
                (waiting, answer.map(|(ack, _)| ack).unwrap_or_default())
            },
            |(waiting, ack)| waiting.on_ack(&ack),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("garbage", |b| {
        // A packet to somebody else: what a stranger can make us pay.
        let (auth, _) = Initiator::new(&theirs, &ours.public_key(), draw());
        b.iter_batched(
            draw,
            |it| Recipient::new(&theirs).on_auth(&auth, it),
            BatchSize::SmallInput,
        );
    });
}
