//! The messages of JSON-RPC 2.0: what one is, and how ours are written.
//!
//! ```text
//!   call          {"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}
//!   notification  {"jsonrpc":"2.0","method":"foo_subscription","params":{…}}
//!   response      {"jsonrpc":"2.0","id":1,"result":3}    or    …,"error":{"code":…,"message":…}}
//!   batch         [ message, message, … ]
//! ```
//!
//! Reading is lenient where real clients need it: a missing `jsonrpc` member passes, `params` may be
//! null, unknown members are ignored, and of members with one name the last counts. The id is never
//! interpreted; it goes back byte for byte.
//!
//! Spec: ethereum/go-ethereum:rpc/json.go.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::borrow::Cow;

use ::bytes::{BufMut as _, Bytes, BytesMut};
use serde::{
    Deserialize, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::RpcError;

/// What one JSON value turned out to be.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// Runs, and is never answered.
    Notification { method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// Runs, and is answered with this id.
    Call { id: &'a RawValue, method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// Answers a call of ours.
    Response { id: &'a RawValue, outcome: Result<&'a RawValue, &'a RawValue> },
    /// Is answered with "invalid request", and with its id if it has a usable one.
    Invalid { id: Option<&'a RawValue> },
}

impl<'a> Message<'a> {
    /// Tells what a JSON value is. The value has been validated; whatever it is, this says something
    /// about it.
    pub(crate) fn parse(value: &'a [u8]) -> Self {
        let text = str::from_utf8(value).unwrap_or_default();
        let members = serde_json::from_str::<Members<'_>>(text).unwrap_or_default();
        members.classify()
    }
}

/// The members of an object that mean something here, as they came.
#[derive(Debug, Default)]
struct Members<'a> {
    version: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    fn classify(self) -> Message<'a> {
        let method = self.method.and_then(text).unwrap_or_default();
        let params = self.params.filter(|params| !is_null(params));
        let id = self.id.filter(|id| !id.get().starts_with(['{', '[']));
        // Missing is fine: a client in use misspells it.
        let is_right = |version| text(version).is_some_and(|text| text == VERSION);
        if self.version.is_some_and(|version| !is_right(version)) {
            return Message::Invalid { id };
        }
        match (id, method.is_empty()) {
            (Some(id), false) => Message::Call { id, method, params },
            (None, false) if self.id.is_none() => Message::Notification { method, params },
            (Some(id), true) if params.is_none() => match (self.result, self.error) {
                (_, Some(error)) if !is_null(error) => {
                    Message::Response { id, outcome: Err(error) }
                }
                (Some(result), _) => Message::Response { id, outcome: Ok(result) },
                (None, _) => Message::Invalid { id: Some(id) },
            },
            _ => Message::Invalid { id },
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<Name>()? {
            let member = match name {
                Name::Jsonrpc => &mut members.version,
                Name::Id => &mut members.id,
                Name::Method => &mut members.method,
                Name::Params => &mut members.params,
                Name::Result => &mut members.result,
                Name::Error => &mut members.error,
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = Some(map.next_value()?);
        }
        Ok(members)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    #[serde(other)]
    Other,
}

/// Takes a batch apart without building what is over the limit.
///
/// # Errors
///
/// For more than `limit` items, the id that the refusal carries: that of the first call, if any.
pub(crate) fn split_batch(
    batch: &Bytes,
    limit: usize,
) -> Result<Vec<Bytes>, Option<Box<RawValue>>> {
    let items = BatchItems { batch, limit, items: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(batch);
    // Validated before, so it cannot fail; an empty batch is what is left if it does.
    serde::Deserializer::deserialize_seq(&mut deserializer, items)
        .unwrap_or_else(|_| Ok(Vec::new()))
}

struct BatchItems<'b> {
    batch: &'b Bytes,
    limit: usize,
    // bound: `limit` items, then none is kept any more
    items: Vec<Bytes>,
}

impl<'de> Visitor<'de> for BatchItems<'_> {
    type Value = Result<Vec<Bytes>, Option<Box<RawValue>>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if self.items.len() < self.limit {
                self.items.push(slice_of(self.batch, item));
                continue;
            }
            let mut id = self.items.iter().find_map(|item| call_id(item));
            if id.is_none() {
                id = call_id(item.get().as_bytes());
            }
            while let Some(item) = seq.next_element::<&'de RawValue>()? {
                id = id.or_else(|| call_id(item.get().as_bytes()));
            }
            return Ok(Err(id));
        }
        Ok(Ok(self.items))
    }
}

fn call_id(item: &[u8]) -> Option<Box<RawValue>> {
    match Message::parse(item) {
        Message::Call { id, .. } => Some(id.to_owned()),
        _ => None,
    }
}

/// The part of `whole` that `part`, parsed from it, lies in.
fn slice_of(whole: &Bytes, part: &RawValue) -> Bytes {
    whole.slice_ref(part.get().as_bytes())
}

/// The text of a JSON string; `None` for any other value.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    // Without escapes, which is nearly always, it is the part between the quotes.
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
        && !inner.contains('\\')
    {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(text).ok().map(Cow::Owned)
}

pub(crate) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Writes a call of ours. `params` is a JSON array, or absent.
pub(crate) fn write_call(out: &mut BytesMut, id: u64, method: &str, params: Option<&[u8]>) {
    out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_number(out, id);
    out.put_slice(br#","method":"#);
    write_text(out, method);
    write_params(out, params);
    out.put_u8(b'}');
}

/// Writes several calls of ours, with rising ids, as one message.
pub(crate) fn write_batch(out: &mut BytesMut, first: u64, calls: &[(String, Option<Vec<u8>>)]) {
    let mut separator = b'[';
    for (id, (method, params)) in (first..).zip(calls) {
        out.put_u8(separator);
        write_call(out, id, method, params.as_deref());
        separator = b',';
    }
    out.put_u8(b']');
}

/// Writes a notification of ours.
pub(crate) fn write_notification(out: &mut BytesMut, method: &str, params: Option<&[u8]>) {
    out.put_slice(br#"{"jsonrpc":"2.0","method":"#);
    write_text(out, method);
    write_params(out, params);
    out.put_u8(b'}');
}

fn write_params(out: &mut BytesMut, params: Option<&[u8]>) {
    if let Some(params) = params {
        out.put_slice(br#","params":"#);
        out.put_slice(params);
    }
}

/// Writes the answer to the call with this id.
pub(crate) fn write_response(out: &mut BytesMut, id: &str, outcome: Result<&[u8], &RpcError>) {
    match outcome {
        Ok(result) => {
            out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
            out.put_slice(id.as_bytes());
            out.put_slice(br#","result":"#);
            out.put_slice(result);
            out.put_u8(b'}');
        }
        Err(error) => write_error(out, Some(id), error),
    }
}

/// Writes an error answer; without an id it carries null.
pub(crate) fn write_error(out: &mut BytesMut, id: Option<&str>, error: &RpcError) {
    out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.put_slice(id.unwrap_or("null").as_bytes());
    out.put_slice(br#","error":"#);
    write_json(out, error);
    out.put_u8(b'}');
}

/// Writes one value of a subscription, or the error that ends it.
pub(crate) fn write_subscription(
    out: &mut BytesMut,
    namespace: &str,
    id: &str,
    outcome: Result<&[u8], &RpcError>,
) {
    out.put_slice(br#"{"jsonrpc":"2.0","method":""#);
    out.put_slice(namespace.as_bytes());
    out.put_slice(br#"_subscription","params":{"subscription":""#);
    out.put_slice(id.as_bytes());
    match outcome {
        Ok(result) => {
            out.put_slice(br#"","result":"#);
            out.put_slice(result);
        }
        Err(error) => {
            out.put_slice(br#"","error":"#);
            write_json(out, error);
        }
    }
    out.put_slice(b"}}");
}

fn write_text(out: &mut BytesMut, text: &str) {
    // Names rarely need escapes.
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
    } else {
        write_json(out, text);
    }
}

fn write_json(out: &mut BytesMut, value: &(impl Serialize + ?Sized)) {
    // Texts, numbers and JSON that was parsed before: there is nothing that cannot be written.
    let written = serde_json::to_writer(out.writer(), value);
    debug_assert!(written.is_ok(), "{written:?}");
}

fn write_number(out: &mut BytesMut, number: u64) {
    use std::fmt::Write as _;
    let written = write!(out, "{number}");
    debug_assert!(written.is_ok(), "a buffer in memory grows");
}

/// The value of `jsonrpc`.
const VERSION: &str = "2.0";

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> String {
        match Message::parse(text.as_bytes()) {
            Message::Notification { method, params } => {
                format!("notification {method} {}", params.map_or("-", |params| params.get()))
            }
            Message::Call { id, method, params } => {
                format!("call {} {method} {}", id.get(), params.map_or("-", |params| params.get()))
            }
            Message::Response { id, outcome } => match outcome {
                Ok(result) => format!("response {} {}", id.get(), result.get()),
                Err(error) => format!("response {} error {}", id.get(), error.get()),
            },
            Message::Invalid { id } => format!("invalid {}", id.map_or("-", |id| id.get())),
        }
    }

    #[test]
    fn each_kind_of_message_is_told_by_its_members() {
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"a_b","params":[1]}"#, "call 1 a_b [1]"),
            (r#"{"jsonrpc":"2.0","id":"x","method":"a_b"}"#, r#"call "x" a_b -"#),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a_b"}"#, "call null a_b -"),
            (r#"{"jsonrpc":"2.0","id":1.50,"method":"a_b","params":null}"#, "call 1.50 a_b -"),
            (r#"{"jsonrpc":"2.0","method":"a_b","params":{}}"#, "notification a_b {}"),
            (r#"{"jsonrpc":"2.0","id":7,"result":null}"#, "response 7 null"),
            (r#"{"jsonrpc":"2.0","id":7,"result":null,"error":{}}"#, "response 7 error {}"),
            (r#"{"jsonrpc":"2.0","id":7,"result":5,"error":null}"#, "response 7 5"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "invalid 7"),
            (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, "invalid 7"),
            (r#"{"jsonrpc":"2.0","id":7,"method":""}"#, "invalid 7"),
            (r#"{"jsonrpc":"2.0","id":[],"method":"a_b"}"#, "invalid -"),
            (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"a_b"}"#, "invalid -"),
            (r#"{"jsonrpc":"2.0","id":7,"params":[],"result":5}"#, "invalid 7"),
            ("{}", "invalid -"),
            ("5", "invalid -"),
            ("null", "invalid -"),
            (r#""text""#, "invalid -"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_missing_version_passes_and_a_wrong_one_does_not() {
        assert_eq!(kind(r#"{"json-rpc":"2.0","id":0,"method":"a_b"}"#), "call 0 a_b -");
        for version in [r#""2.1""#, r#""1.0""#, r#""go-ethereum""#, "1", "2.0", "null", "[]"] {
            let text = format!(r#"{{"jsonrpc":{version},"id":1,"method":"a_b"}}"#);
            assert_eq!(kind(&text), "invalid 1", "{version}");
        }
        assert_eq!(kind(r#"{"jsonrpc":"\u0032.0","id":1,"method":"a_b"}"#), "call 1 a_b -");
    }

    /// R-09.
    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let text = r#"{"id":1,"method":"a_b","id":2,"method":"c_d","params":[1],"params":[2]}"#;

        assert_eq!(kind(text), "call 2 c_d [2]");
    }

    #[test]
    fn white_space_and_escapes_in_names_do_not_matter() {
        let text = "{ \"\\u0069d\" : 1 ,\n\"method\":\t\"a\\u005fb\" }";

        assert_eq!(kind(text), "call 1 a_b -");
    }

    #[test]
    fn a_batch_is_split_where_its_items_begin_and_end() {
        let batch = Bytes::from_static(br#" [ 1, {"id": [2]} ,"x]" ] "#);

        let items = split_batch(&batch, 4).expect("under the limit");

        assert_eq!(items, [&b"1"[..], br#"{"id": [2]}"#, br#""x]""#]);
        assert_eq!(split_batch(&Bytes::from_static(b"[]"), 4).expect("empty"), Vec::<Bytes>::new());
    }

    #[test]
    fn a_batch_over_the_limit_gives_the_id_of_its_first_call() {
        let over = |items: &str| {
            split_batch(&Bytes::from(format!("[{items}]")), 2)
                .expect_err("over the limit")
                .map(|id| id.get().to_owned())
        };

        assert_eq!(over("1,2,3"), None);
        assert_eq!(over(r#"1,{"id":3,"method":"a"},3"#).as_deref(), Some("3"));
        assert_eq!(over(r#"1,2,{"id":"c","method":"a"}"#).as_deref(), Some(r#""c""#));
        assert_eq!(
            over(r#"1,2,3,{"id":4,"method":"a"},{"id":5,"method":"a"}"#).as_deref(),
            Some("4")
        );
        assert_eq!(over(r#"{"method":"a"},2,3"#), None);
    }

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).expect("JSON is text")
    }

    #[test]
    fn what_we_write_has_the_members_in_the_order_of_go_ethereum() {
        let error = RpcError::new(-32_000, "a \"b\"");
        for (got, expected) in [
            (
                written(|out| write_call(out, 1, "foo_add", Some(b"[1,2]"))),
                r#"{"jsonrpc":"2.0","id":1,"method":"foo_add","params":[1,2]}"#,
            ),
            (
                written(|out| write_call(out, 20, "we\"ird", None)),
                r#"{"jsonrpc":"2.0","id":20,"method":"we\"ird"}"#,
            ),
            (
                written(|out| write_notification(out, "foo_add", Some(b"[]"))),
                r#"{"jsonrpc":"2.0","method":"foo_add","params":[]}"#,
            ),
            (
                written(|out| write_response(out, "\"x\"", Ok(b"null"))),
                r#"{"jsonrpc":"2.0","id":"x","result":null}"#,
            ),
            (
                written(|out| write_response(out, "2", Err(&error))),
                r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"a \"b\""}}"#,
            ),
            (
                written(|out| write_error(out, None, &RpcError::invalid_request())),
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}"#,
            ),
            (
                written(|out| write_subscription(out, "foo", "0x1", Ok(b"5"))),
                r#"{"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":"0x1","result":5}}"#,
            ),
            (
                written(|out| {
                    write_subscription(out, "foo", "0x1", Err(&RpcError::subscription_overflow()));
                }),
                r#"{"jsonrpc":"2.0","method":"foo_subscription","params":{"subscription":"0x1","error":{"code":-32000,"message":"subscription queue overflow"}}}"#,
            ),
        ] {
            assert_eq!(got, expected);
        }
    }
}
