//! What breaches cost, how points fade, and whom a ban keeps out. Time is an argument.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node(number: u8) -> NodeId {
    NodeId::new([number; 32])
}

const MINUTE: Duration = Duration::from_secs(60);

/// The rows of the table of conditions, with what each costs.
#[test]
fn each_offence_has_its_price() {
    let now = Instant::now();

    for (offence, address, id) in [
        (Offence::HandshakeTimeout, 1, 0),
        (Offence::BadAuth, 2, 0),
        (Offence::BadAck, 0, 2),
        (Offence::BadFirstFrame, 2, 0),
        (Offence::BadHello, 1, 0),
        (Offence::UnexpectedIdentity, 2, 2),
        (Offence::BadMessageCode, 4, 4),
        (Offence::BadCompression, 8, 8),
        (Offence::PingFlood, 4, 4),
        (Offence::InvalidMessage, 8, 8),
        (Offence::ProtocolFailed, 2, 2),
        (Offence::BudgetExceeded, 2, 2),
    ] {
        let mut reputation = Reputation::new();

        reputation.on_offence(ip("8.8.8.8"), Some(node(1)), offence, now);

        assert_eq!(reputation.ip_score(ip("8.8.8.8"), now), address, "{offence:?}");
        assert_eq!(reputation.id_score(&node(1), now), id, "{offence:?}");
    }
}

#[test]
fn ten_points_close_the_door_for_ten_minutes() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    for _ in 0..4 {
        reputation.on_offence(ip("8.8.8.8"), None, Offence::BadAuth, now);
    }
    assert!(!reputation.refuses_ip(ip("8.8.8.8"), now));

    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadAuth, now);

    assert!(reputation.refuses_ip(ip("8.8.8.8"), now));
    assert!(reputation.refuses_ip(ip("8.8.8.8"), now + MINUTE * 10 - Duration::from_nanos(1)));
    assert!(!reputation.refuses_ip(ip("8.8.8.8"), now + MINUTE * 10));
    assert!(!reputation.refuses_ip(ip("8.8.8.9"), now));
}

#[test]
fn points_halve_every_ten_minutes() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    reputation.on_offence(ip("8.8.8.8"), None, Offence::InvalidMessage, now);

    for (minutes, points) in [(0, 8), (9, 8), (10, 4), (19, 4), (20, 2), (30, 1), (40, 0)] {
        assert_eq!(reputation.ip_score(ip("8.8.8.8"), now + MINUTE * minutes), points);
    }
}

#[test]
fn points_far_apart_do_not_add_up() {
    let mut now = Instant::now();
    let mut reputation = Reputation::new();

    for _ in 0..100 {
        reputation.on_offence(ip("8.8.8.8"), None, Offence::BadMessageCode, now);
        now += MINUTE * 10;
    }

    assert!(!reputation.refuses_ip(ip("8.8.8.8"), now));
}

#[test]
fn often_enough_does_not_slow_the_halving() {
    let begin = Instant::now();
    let mut reputation = Reputation::new();
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, begin);

    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadHello, begin + MINUTE * 9);

    // The first eight points are halved one minute later, with the ninth.
    assert_eq!(reputation.ip_score(ip("8.8.8.8"), begin + MINUTE * 10), 4);
}

#[test]
fn a_breach_while_refused_makes_it_last() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);

    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadAuth, now + MINUTE * 9);

    assert!(reputation.refuses_ip(ip("8.8.8.8"), now + MINUTE * 18));
}

#[test]
fn ipv6_addresses_are_counted_by_their_slash_64() {
    let now = Instant::now();
    let mut reputation = Reputation::new();

    reputation.on_offence(ip("2001:db8:0:1::1"), None, Offence::BadCompression, now);
    reputation.on_offence(ip("2001:db8:0:1::2"), None, Offence::BadCompression, now);

    assert!(reputation.refuses_ip(ip("2001:db8:0:1:ffff::"), now));
    assert!(!reputation.refuses_ip(ip("2001:db8:0:2::1"), now));
}

#[test]
fn a_wrapped_ipv4_address_is_the_ipv4_address() {
    let now = Instant::now();
    let mut reputation = Reputation::new();

    reputation.on_offence(ip("::ffff:8.8.8.8"), None, Offence::BadCompression, now);
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);

    assert!(reputation.refuses_ip(ip("8.8.8.8"), now));
    assert!(reputation.refuses_ip(ip("::ffff:8.8.8.8"), now));
    assert!(!reputation.refuses_ip(ip("::ffff:8.8.8.9"), now));
}

#[test]
fn neighbours_are_counted_and_not_refused() {
    let now = Instant::now();
    let mut reputation = Reputation::new();

    for text in ["127.0.0.1", "192.168.1.1", "::1", "::ffff:10.0.0.1"] {
        reputation.on_offence(ip(text), Some(node(1)), Offence::BadCompression, now);
        reputation.on_offence(ip(text), Some(node(1)), Offence::BadCompression, now);

        assert_eq!(reputation.ip_score(ip(text), now), 16);
        assert!(!reputation.refuses_ip(ip(text), now));
    }
}

#[test]
fn a_node_is_refused_wherever_it_comes_from() {
    let now = Instant::now();
    let mut reputation = Reputation::new();

    reputation.on_offence(ip("8.8.8.8"), Some(node(1)), Offence::InvalidMessage, now);
    reputation.on_offence(ip("9.9.9.9"), Some(node(1)), Offence::InvalidMessage, now);

    assert!(reputation.refuses_id(&node(1), now));
    assert!(!reputation.refuses_id(&node(2), now));
    assert!(!reputation.refuses_ip(ip("8.8.8.8"), now));
}

#[test]
fn a_full_board_keeps_those_who_did_worst() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);

    for number in 0..u32::try_from(MAX_ENTRIES).unwrap() {
        let other = IpAddr::V4((0x1000_0000 + number).into());
        reputation.on_offence(other, None, Offence::BadHello, now);
    }

    assert_eq!(reputation.addresses.scores.len(), MAX_ENTRIES);
    assert_eq!(reputation.addresses.by_end.len(), MAX_ENTRIES);
    assert!(reputation.refuses_ip(ip("8.8.8.8"), now));
}

#[test]
fn scores_that_mean_nothing_any_more_are_forgotten() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    reputation.on_offence(ip("8.8.8.8"), None, Offence::BadCompression, now);

    reputation.on_offence(ip("9.9.9.9"), None, Offence::BadHello, now + MINUTE * 40);

    assert_eq!(reputation.addresses.scores.len(), 1);
    assert_eq!(reputation.addresses.by_end.len(), 1);
}

#[test]
fn bans_are_listed_and_lifted() {
    let now = Instant::now();
    let mut reputation = Reputation::new();
    let network: BanTarget = "127.0.0.0/8".parse().unwrap();
    reputation.ban(network, now + MINUTE);
    reputation.ban(node(1).into(), now + MINUTE * 2);

    assert_eq!(reputation.bans(now), [(node(1).into(), now + MINUTE * 2), (network, now + MINUTE)]);
    // An order counts for neighbours too.
    assert!(reputation.is_banned_ip(ip("127.0.0.1"), now));
    assert!(reputation.is_banned_id(&node(1), now));
    assert!(!reputation.is_banned_id(&node(2), now));
    assert!(reputation.unban(&network, now));
    assert!(!reputation.unban(&network, now));
    assert!(!reputation.is_banned_ip(ip("127.0.0.1"), now));
}

proptest! {
    #[test]
    fn a_score_is_the_sum_of_what_is_left_of_each_breach(
        steps in prop::collection::vec((0..3_000_u64, 1..10_u32), 1..40),
        later in 0..10_000_u64,
    ) {
        let begin = Instant::now();
        let mut score = Score::new(begin);
        let mut expected = 0.0_f64;
        let (mut at, mut halved_at) = (0, 0);

        for (pause, points) in steps.into_iter().chain([(later, 0)]) {
            at += pause;
            while at - halved_at >= 600 {
                expected /= 2.0;
                halved_at += 600;
            }
            expected += f64::from(points);
            score.add(points.into(), begin + Duration::from_secs(at));
        }

        let millipoints = score.millipoints(begin + Duration::from_secs(at));
        let got = f64::from(u32::try_from(millipoints).unwrap()) / 1_000.0;
        prop_assert!((got - expected).abs() < 0.01, "{got} for {expected}");
        let end = score.end();
        prop_assert!(score.millipoints(end) < 1_000);
        prop_assert!(score.refused_until.is_none_or(|until| until <= end));
    }

    #[test]
    fn both_halves_of_a_board_hold_the_same_keys(
        steps in prop::collection::vec((0..900_u64, 0..8_u8, 0..10_u64), 0..100),
    ) {
        let mut now = Instant::now();
        let mut board = ScoreBoard::default();

        for (pause, key, points) in steps {
            now += Duration::from_secs(pause);
            board.add(key, points, now);

            let by_end: BTreeSet<_> = board.by_end.iter().map(|(_, key)| *key).collect();
            prop_assert!(by_end.iter().eq(board.scores.keys()));
            prop_assert_eq!(by_end.len(), board.by_end.len());
        }
    }
}
