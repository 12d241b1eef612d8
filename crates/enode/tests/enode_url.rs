//! Enode URLs beyond the vectors: what each kind of error says, and what the parts are good for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use enode::{Enode, EnodeError, Host, IncompleteError, RecordBuilder, SecretKey, record::entry};

#[test]
fn each_error_says_what_go_ethereum_says() {
    let key = key();
    let check = |url: &str, error: EnodeError, text: &str| {
        assert_eq!(url.parse::<Enode>(), Err(error.clone()), "{url}");
        assert_eq!(error.to_string(), text);
    };

    check("http://foobar", EnodeError::Scheme, "invalid URL scheme, want \"enode\"");
    check("enode://", EnodeError::MissingNodeId, "does not contain node ID");
    check("enode://1.2.3.4:5", EnodeError::MissingNodeId, "does not contain node ID");
    let length = "invalid public key (wrong length, want 128 hex chars)";
    check("enode://0101@1.2.3.4:5", EnodeError::KeyLength, length);
    check("enode://@1.2.3.4:5", EnodeError::KeyLength, length);
    check(&key[1..], EnodeError::KeyLength, length);
    let digit = "invalid public key (invalid hex digit 'x')";
    check(&format!("enode://0x{}@1.2.3.4:5", &key[2..]), EnodeError::KeyDigit('x'), digit);
    let point = "invalid public key (invalid secp256k1 public key)";
    check(&"00".repeat(64), EnodeError::KeyPoint, point);
    check(&format!("enode://{key}@1.2.3.4"), EnodeError::Port, "invalid port");
    check(&format!("enode://{key}@1.2.3.4:"), EnodeError::Port, "invalid port");
    check(&format!("enode://{key}@1.2.3.4:65536"), EnodeError::Port, "invalid port");
    check(&format!("enode://{key}@[::1]"), EnodeError::Port, "invalid port");
    let query = "invalid discport in query";
    check(&format!("enode://{key}@1.2.3.4:5?discport=x"), EnodeError::DiscoveryPort, query);
    let host = "invalid IP address or host name";
    check(&format!("enode://{key}@:5"), EnodeError::Host, host);
    check(&format!("enode://{key}@::1:5"), EnodeError::Host, host);
    check(&format!("enode://{key}@[localhost]:5"), EnodeError::Host, host);
    check(&format!("enode://{key}@[::1:5"), EnodeError::Host, host);
    check(&format!("enode://{key}@127.0.0.256:5"), EnodeError::Host, host);
    let control = "invalid control character in URL";
    check(&format!("enode://{key}@1.2.3.4:5\n"), EnodeError::ControlCharacter, control);
}

#[test]
fn a_url_that_is_too_long_is_not_looked_at() {
    let url = format!("enode://{}@1.2.3.4:5?{}", key(), "x".repeat(2048));

    let error = EnodeError::TooLong { length: url.len() };
    assert_eq!(url.parse::<Enode>(), Err(error));
}

#[test]
fn path_fragment_and_other_parameters_are_ignored() {
    let plain = format!("enode://{}@1.2.3.4:5", key());
    for tail in
        ["/", "/a/b", "?", "?a=b", "#x", "#?discport=6", "/p?a=b#c", "?discport=&discport=6"]
    {
        let url = format!("{plain}{tail}");

        assert_eq!(url.parse::<Enode>().unwrap().to_string(), plain, "{url}");
    }
}

#[test]
fn either_form_is_parsed_and_a_bare_key_is_neither() {
    let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
    let node = Enode::new(secret.public_key(), [1, 2, 3, 4].into(), 5, 6);
    let record = RecordBuilder::new()
        .entry(&entry::Ip([1, 2, 3, 4].into()))
        .entry(&entry::Tcp(5))
        .entry(&entry::Udp(6))
        .sign(&secret)
        .unwrap();

    assert_eq!(Enode::parse_any(&node.to_string()), Ok(node.clone()));
    assert_eq!(Enode::parse_any(&record.to_string()), Ok(node));
    for text in [&key(), "", "ENODE://", "enr", "http://foo"] {
        assert_eq!(Enode::parse_any(text), Err(EnodeError::Prefix), "{text}");
    }
    let text = "missing 'enr:' prefix for base64-encoded record";
    assert_eq!(EnodeError::Prefix.to_string(), text);
    assert!(matches!(Enode::parse_any("enr:AAAA"), Err(EnodeError::Record(_))));
}

#[test]
fn a_record_without_address_is_an_incomplete_node() {
    let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
    let record = RecordBuilder::new().entry(&entry::Tcp(5)).sign(&secret).unwrap();

    assert_eq!(Enode::from(&record), Enode::incomplete(secret.public_key()));
}

#[test]
fn an_ipv4_address_in_ipv6_clothing_is_unwrapped() {
    let mapped: IpAddr = "::ffff:1.2.3.4".parse().unwrap();
    let plain: IpAddr = [1, 2, 3, 4].into();

    assert_eq!(node(mapped, 5, 6), node(plain, 5, 6));
    assert_eq!(node(plain, 5, 6).with_host("::ffff:1.2.3.4").unwrap().ip(), Some(plain));
}

#[test]
fn an_endpoint_exists_only_where_a_host_can_answer() {
    let good = node([1, 2, 3, 4].into(), 5, 6);
    assert_eq!(good.tcp_addr(), Some("1.2.3.4:5".parse().unwrap()));
    assert_eq!(good.udp_addr(), Some("1.2.3.4:6".parse().unwrap()));

    assert_eq!(good.clone().with_ports(0, 6).tcp_addr(), None);
    assert_eq!(good.clone().with_ports(5, 0).udp_addr(), None);
    for ip in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
        let node = good.clone().with_ip(ip.parse().unwrap());
        assert_eq!((node.tcp_addr(), node.udp_addr()), (None, None), "{ip}");
    }
    let incomplete = Enode::incomplete(*good.public_key());
    assert_eq!((incomplete.tcp_addr(), incomplete.udp_addr()), (None, None));
}

#[test]
fn what_is_missing_for_discovery_is_named() {
    let good = node([1, 2, 3, 4].into(), 5, 6);
    let missing = |node: Enode| node.validate_complete();

    assert_eq!(missing(good.clone()), Ok(()));
    assert_eq!(missing(good.clone().with_ports(5, 0)), Err(IncompleteError::MissingUdpPort));
    let multicast = good.clone().with_ip([224, 0, 0, 1].into());
    assert_eq!(missing(multicast), Err(IncompleteError::InvalidIp));
    let named = good.clone().with_host("localhost").unwrap();
    assert_eq!(missing(named), Err(IncompleteError::MissingIp));
    assert_eq!(missing(Enode::incomplete(*good.public_key())), Err(IncompleteError::MissingIp));
}

#[test]
fn a_name_is_kept_until_somebody_resolves_it() {
    let url = format!("enode://{}@Boot.Example:5?discport=6", key());
    let named: Enode = url.parse().unwrap();

    let resolved = named.clone().with_ip([1, 2, 3, 4].into());

    assert_eq!(named.host(), Some(&Host::Name("Boot.Example".to_owned())));
    assert_eq!(named.to_string(), url);
    assert_eq!(resolved, node([1, 2, 3, 4].into(), 5, 6));
    assert_eq!(named.with_host("127.0.0.01"), Err(EnodeError::Host));
}

#[test]
fn debug_shows_the_url() {
    let node = node("::1".parse().unwrap(), 5, 6);

    assert_eq!(format!("{node:?}"), format!("Enode(enode://{}@[::1]:5?discport=6)", key()));
}

fn node(ip: IpAddr, tcp: u16, udp: u16) -> Enode {
    Enode::new(SecretKey::from_bytes(&[1; 32]).unwrap().public_key(), ip, tcp, udp)
}

/// The 128 digits of the public key of [`node`].
fn key() -> String {
    const_hex::encode(SecretKey::from_bytes(&[1; 32]).unwrap().public_key().to_bytes())
}
