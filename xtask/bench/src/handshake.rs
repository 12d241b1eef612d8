//! What a handshake costs: both sides, in memory, without a socket.
//!
//! Counted is all that a real one takes: drawing the one-time keys, both packets, and the keys of
//! the connection. The node keys exist before.

use std::{hint::black_box, time::Duration};

use enode::SecretKey;
use rlpx::handshake::{Initiator, Randomness, Recipient};

use crate::{
    clock,
    codec::micros,
    measure::{Plan, Summary, round_robin},
    report::{Figure, Quantity},
};

/// Each side, and both together.
pub(crate) fn figures(plan: &Plan) -> Vec<Figure> {
    if !NAMES.into_iter().any(|name| plan.wants(name)) {
        return Vec::new();
    }
    eprintln!("measuring handshake");
    let batch = plan.batch(16);
    let mut run = handshakes(batch);
    let results = round_robin(plan.rounds, &mut [Box::new(&mut run)]).swap_remove(0);
    let sides = |pick: fn(&Sides) -> f64| results.iter().map(pick).collect::<Vec<f64>>();
    let both = sides(|sides| sides.initiator + sides.recipient);
    let rate = Summary::of(both.iter().map(|micros| 1e6 / micros));
    let [both_name, initiator, recipient] = NAMES;
    let figure = |name, times| Figure::new(name, Quantity::new(Summary::of(times), "µs"));
    let mut figures = vec![
        figure(both_name, both).aside(Quantity::new(rate, "/s on one core")),
        figure(initiator, sides(|sides| sides.initiator)),
        figure(recipient, sides(|sides| sides.recipient)),
    ];
    figures.retain(|figure| plan.wants(figure.name()));
    figures
}

/// CPU time of each side, in microseconds for one handshake.
struct Sides {
    initiator: f64,
    recipient: f64,
}

/// Runs `batch` handshakes between two nodes each time it is called.
fn handshakes(batch: usize) -> impl FnMut() -> Sides {
    let (alice, bob) = (SecretKey::random(), SecretKey::random());
    let bobs_key = bob.public_key();
    let mut rng = rand::rng();
    move || {
        let (mut initiator_time, mut recipient_time) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batch {
            let start = clock::thread();
            let randomness = Randomness::generate(&mut rng);
            let (auth, initiator) = Initiator::new(&alice, &bobs_key, randomness);
            let auth_made = clock::thread();
            let randomness = Randomness::generate(&mut rng);
            let accepted = Recipient::new(&bob).on_auth(&auth, randomness);
            let (ack, established) = accepted.unwrap_or_else(|error| panic!("{error}"));
            black_box(established.secrets.into_halves());
            let ack_made = clock::thread();
            let established = initiator.on_ack(&ack).unwrap_or_else(|error| panic!("{error}"));
            black_box(established.secrets.into_halves());
            let end = clock::thread();
            initiator_time += (auth_made - start) + (end - ack_made);
            recipient_time += ack_made - auth_made;
        }
        Sides { initiator: micros(initiator_time, batch), recipient: micros(recipient_time, batch) }
    }
}

const NAMES: [&str; 3] = ["handshake, both sides", "handshake, initiator", "handshake, recipient"];
