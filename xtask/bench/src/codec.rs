//! What a frame costs each side, in memory, beside the plain codec.
//!
//! Payloads are random, so nothing can be compressed and every byte is encrypted and hashed. A
//! connection's codec runs on from frame to frame, as it does in life.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use rlpx::{
    Role, Secrets,
    frame::{Egress, Ingress, MAX_SIZE},
};

use crate::{
    clock::timed,
    measure::{Plan, Summary, round_robin},
    plain::PlainCodec,
    report::{Bound, Figure, Quantity, SIZES},
};

/// Writing and reading at each size.
pub(crate) fn figures(plan: &Plan) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (label, size) in SIZES {
        // Some milliseconds a batch, far above the grain of the clock.
        let batch = plan.batch((8 << 20) / (size + 2048)).max(1);
        let payload = random(size);
        for (name, candidates) in [
            ("codec, write", writers as fn(&'_ [u8], usize) -> Candidates<'_>),
            ("codec, read", readers),
        ] {
            if plan.begin(&format!("{name}, {label}")) {
                let mut candidates = candidates(&payload, batch);
                figures.push(figure(plan, name, size, &mut candidates));
            }
        }
    }
    figures
}

/// Ours, then the plain one; each returns microseconds for one frame.
type Candidates<'a> = [Box<dyn FnMut() -> f64 + 'a>; 2];

fn figure(plan: &Plan, name: &str, size: usize, candidates: &mut Candidates<'_>) -> Figure {
    let results = round_robin(plan.rounds, candidates);
    let (ours, plain) = (&results[0], &results[1]);
    let ratio = Quantity::new(Summary::of_ratios(plain, ours), "× plain codec");
    let ratio = if size == SIZES[0].1 { ratio.bound(EQUAL_TO_RETH) } else { ratio };
    Figure::new(name, Quantity::new(Summary::of(ours.iter().copied()), "µs"))
        .payload(size)
        .aside(ratio)
}

fn writers(payload: &[u8], batch: usize) -> Candidates<'_> {
    let (mut egress, _) = ours();
    let mut out = BytesMut::new();
    let ours = move || {
        let time = timed(|| {
            for _ in 0..batch {
                out.clear();
                let written = egress.frame(CODE.into(), black_box(payload), &mut out);
                black_box(written.is_ok());
            }
        });
        micros(time, batch)
    };
    let (mut codec, mut out) = (plain(), Vec::new());
    let plain = move || {
        let time = timed(|| {
            for _ in 0..batch {
                out.clear();
                codec.write(CODE, black_box(payload), &mut out);
                black_box(&out);
            }
        });
        micros(time, batch)
    };
    [Box::new(ours), Box::new(plain)]
}

fn readers(payload: &[u8], batch: usize) -> Candidates<'_> {
    // A frame can be read only in its place, so each reader has a writer that runs along.
    let (mut egress, _) = ours();
    let (_, mut ingress) = ours();
    ingress.set_max_frame(MAX_SIZE);
    let ours = move || {
        let mut wire = BytesMut::new();
        for _ in 0..batch {
            let written = egress.frame(CODE.into(), payload, &mut wire);
            debug_assert!(written.is_ok(), "the sizes measured fit into a frame");
        }
        let mut read = 0;
        let time = timed(|| {
            while let Ok(Some(frame)) = ingress.next(&mut wire) {
                read += 1;
                black_box(&frame.body);
            }
        });
        assert_eq!(read, batch, "every frame is genuine");
        micros(time, batch)
    };
    let (mut writer, mut reader) = (plain(), plain());
    let plain = move || {
        let mut wire = Vec::new();
        for _ in 0..batch {
            writer.write(CODE, payload, &mut wire);
        }
        let mut read = 0;
        let time = timed(|| {
            let mut rest = &mut wire[..];
            while let Some((_, body, behind)) = reader.read(rest) {
                read += 1;
                black_box(body);
                rest = behind;
            }
        });
        assert_eq!(read, batch, "every frame is genuine");
        micros(time, batch)
    };
    [Box::new(ours), Box::new(plain)]
}

/// Our writing half and the half that reads it, as after a handshake.
pub(crate) fn ours() -> (Egress, Ingress) {
    let secrets = |role| Secrets::derive(role, &SHARED, &NONCES[0], &NONCES[1], AUTH, ACK);
    let (egress, _) = secrets(Role::Initiator).into_halves();
    let (_, ingress) = secrets(Role::Recipient).into_halves();
    (egress, ingress)
}

/// The plain codec in the place of either.
pub(crate) fn plain() -> PlainCodec {
    let secrets = Secrets::derive(Role::Initiator, &SHARED, &NONCES[0], &NONCES[1], AUTH, ACK);
    let seed = secrets.mac().iter().zip(&NONCES[1]).map(|(mac, nonce)| mac ^ nonce);
    let seed: Vec<u8> = seed.chain(AUTH.iter().copied()).collect();
    PlainCodec::new(secrets.aes(), secrets.mac(), &seed)
}

/// Bytes that no compressor makes shorter.
pub(crate) fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes[..]);
    bytes
}

/// Microseconds for one of so many.
pub(crate) fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// What it takes to be as fast as reth is by default, which was measured against such a codec.
const EQUAL_TO_RETH: Bound = Bound::AtLeast(1.07);

/// The first code behind the base protocol's.
const CODE: u8 = 16;

// The inputs of a made-up handshake. Packets of the usual length leave the hash where a real
// handshake leaves it.
const SHARED: [u8; 32] = [7; 32];
const NONCES: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const AUTH: &[u8] = &[3; 433];
const ACK: &[u8] = &[4; 365];
