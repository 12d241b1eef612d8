//! `rlpx_frames.json`, `base_protocol`: hello, disconnect, ping and pong, and the first message.

use bytes::Bytes;
use enode::{PublicKey, SecretKey, rlp::ListReader};
use p2p_server::{
    DisconnectReason, FirstMessageError,
    vector_hooks::{
        HelloFields, decode_hello, encode_disconnect, encode_hello, first_message, ping_and_pong,
        read_disconnect,
    },
};
use serde::Deserialize;

use super::{NamedVersion, compress, decompress, hex, load};

#[test]
fn hellos_are_written_and_read_as_recorded() {
    for case in base_protocol().hello {
        let wire = hex(&case.rlp);

        assert_eq!(case.encode(), wire, "{}: writing", case.name);
        let fields = decode_hello(&wire).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(fields, case.fields(), "{}: reading", case.name);
        check_verdict(&case.name, 0, &wire, case.reader_error.as_deref(), case.ours.as_deref());
    }
}

#[test]
fn the_first_message_is_judged_as_recorded() {
    for case in base_protocol().hello_reader {
        let (payload, error) = (hex(&case.payload), case.reader_error.as_deref());

        check_verdict(&case.name, case.code, &payload, error, case.ours.as_deref());
    }
}

/// Holds our verdict on a first message against the recorded one, or against what is said to be
/// ours. The key of a hello counts as proven where it is one.
fn check_verdict(
    name: &str,
    code: u64,
    payload: &[u8],
    recorded: Option<&str>,
    ours: Option<&str>,
) {
    let stranger = SecretKey::from_bytes(&[7; 32]).unwrap().public_key();
    let claimed = decode_hello(payload).ok().and_then(|h| PublicKey::from_bytes(&h.key).ok());

    let verdict = first_message(claimed.unwrap_or(stranger), code, payload);

    match (ours.or(recorded), verdict) {
        (None, Ok(hello)) => {
            assert_eq!(Ok(hello), decode_hello(payload), "{name}");
            let other = first_message(stranger, code, payload).unwrap_err();
            assert!(matches!(other, FirstMessageError::UnexpectedIdentity { .. }), "{name}");
        }
        (Some(want), Err(error)) => {
            let got = error.to_string();
            // Behind the size go-ethereum lets its decoder speak.
            let got = got.find("(size").and_then(|at| {
                let end = got[at..].find(')')?;
                Some(&got[..=at + end])
            });
            let got = got.map_or_else(|| error.to_string(), str::to_owned);
            let bounded = |rest: &str| rest.is_empty() || rest.starts_with([' ', ':']);
            assert!(want.strip_prefix(&got).is_some_and(bounded), "{name}: {got:?}, not {want:?}");
        }
        (want, got) => panic!("{name}: {got:?}, not {want:?}"),
    }
}

#[test]
fn disconnects_are_written_in_the_list_form_and_read_in_every_form() {
    for case in base_protocol().disconnect {
        let reason = DisconnectReason::from_code(case.reason);
        let [list, bare] = [&case.list_form, &case.bare_form].map(|digits| hex(digits));
        let [list_snappy, bare_snappy] =
            [&case.list_form_snappy, &case.bare_form_snappy].map(|digits| hex(digits));

        assert_eq!(reason.to_string(), case.text);
        assert_eq!(reason.code(), case.reason);
        case.check_how_the_recorder_reads();
        assert_eq!(encode_disconnect(reason), list, "{reason}");
        assert_eq!(alloy_rlp::encode(case.reason), bare, "{reason}");
        assert_eq!(compress(&list), list_snappy, "{reason}");
        assert_eq!(decompress(&list_snappy), list, "{reason}");
        assert_eq!(decompress(&bare_snappy), bare, "{reason}");
        for (body, snappy) in [
            (&list, false),
            (&bare, false),
            (&list_snappy, true),
            (&bare_snappy, true),
            // Said before compression was agreed on, or by those who never compress it.
            (&list, true),
            (&bare, true),
        ] {
            assert_eq!(read_disconnect(body, snappy), reason, "{body:02x?}");
        }
    }
}

#[test]
fn pings_and_pongs_are_empty_lists() {
    let base = base_protocol();
    for (message, (code, payload)) in [base.ping, base.pong].into_iter().zip(ping_and_pong()) {
        assert_eq!((code, &payload), (message.code, &Bytes::from(hex(&message.payload))));
        assert_eq!(compress(&payload), hex(&message.payload_snappy));
        assert_eq!(decompress(&hex(&message.payload_snappy)), payload);
    }
}

fn base_protocol() -> BaseProtocol {
    load::<File>("rlpx_frames.json").base_protocol
}

#[derive(Deserialize)]
struct File {
    base_protocol: BaseProtocol,
}

#[derive(Deserialize)]
struct BaseProtocol {
    hello: Vec<HelloCase>,
    hello_reader: Vec<ReaderCase>,
    disconnect: Vec<DisconnectCase>,
    ping: PlainMessage,
    pong: PlainMessage,
}

#[derive(Deserialize)]
struct HelloCase {
    name: String,
    version: u64,
    client_name: String,
    caps: Vec<NamedVersion>,
    listen_port: u64,
    id: String,
    extra_rlp: Vec<String>,
    rlp: String,
    reader_error: Option<String>,
    ours: Option<String>,
}

impl HelloCase {
    fn fields(&self) -> HelloFields {
        HelloFields {
            version: self.version,
            client: self.client_name.clone().into(),
            capabilities: self.caps.iter().filter_map(NamedVersion::valid).collect(),
            listen_port: self.listen_port,
            key: hex(&self.id).into(),
        }
    }

    /// Our encoding, with the fields of the future put behind ours.
    fn encode(&self) -> Vec<u8> {
        let five = encode_hello(self.fields());
        let mut fields = ListReader::exact(&five).unwrap().rest().to_vec();
        fields.extend(self.extra_rlp.iter().flat_map(|item| hex(item)));
        let mut out = Vec::new();
        let header = alloy_rlp::Header { list: true, payload_length: fields.len() };
        header.encode(&mut out);
        out.extend(fields);
        out
    }
}

#[derive(Deserialize)]
struct ReaderCase {
    name: String,
    code: u64,
    payload: String,
    reader_error: Option<String>,
    ours: Option<String>,
}

#[derive(Deserialize)]
struct DisconnectCase {
    reason: u8,
    text: String,
    list_form: String,
    list_form_snappy: String,
    bare_form: String,
    bare_form_snappy: String,
    #[serde(rename = "list_form_decoded_by_1.9.2")]
    list_decoded: u64,
    #[serde(rename = "list_form_decode_error_1.9.2")]
    list_error: Option<String>,
    #[serde(rename = "bare_form_decoded_by_1.9.2")]
    bare_decoded: u64,
    #[serde(rename = "bare_form_decode_error_1.9.2")]
    bare_error: Option<String>,
}

impl DisconnectCase {
    /// go-ethereum 1.9.2 reads what we write, which is why we write it, and takes the bare form,
    /// which we read too, for reason 0.
    fn check_how_the_recorder_reads(&self) {
        assert_eq!((self.list_decoded, &self.list_error), (u64::from(self.reason), &None));
        assert_eq!((self.bare_decoded, self.bare_error.is_some()), (0, true));
    }
}

#[derive(Deserialize)]
struct PlainMessage {
    code: u64,
    payload: String,
    payload_snappy: String,
}
