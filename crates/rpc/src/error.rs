//! Errors as they travel: a code, a text, and sometimes data.
//!
//! Codes and texts are go-ethereum's, because programs compare them.
//!
//! ```text
//!   -32700  not JSON                       -32000  what a handler returned, unless it has a code
//!   -32600  JSON, but no request           -32002  request timed out
//!   -32601  no such method                 -32003  response too large
//!   -32602  arguments                      -32603  the handler crashed
//! ```
//!
//! Spec: ethereum/go-ethereum:rpc/errors.go.

use std::{any::Any, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a call is answered with when it does not succeed.
///
/// A handler may return any error that can be displayed: it travels as code −32000 with its text. To
/// choose code and data, it returns this type.
///
/// ```
/// let error = rpc::RpcError::new(-38001, "unknown payload").with_data(&["0x01"]);
///
/// assert_eq!(error.code(), -38001);
/// assert_eq!(error.data().map(|data| data.get()), Some(r#"["0x01"]"#));
/// assert_eq!(error.to_string(), "unknown payload");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RpcError {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// What a handler returns.
pub type Result<T> = std::result::Result<T, RpcError>;

impl RpcError {
    /// An error with a code of one's own; JSON-RPC reserves −32768 to −32000.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Adds the `data` member. A value that has no JSON form is left out.
    #[must_use]
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::value::to_raw_value(data).ok();
        self
    }

    /// Any other error: code −32000 and its text.
    pub fn other(error: impl fmt::Display) -> Self {
        Self::new(code::SERVER, error.to_string())
    }

    /// The code.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The `data` member, as JSON.
    pub fn data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }

    /// What a handler returned, keeping the code of an `RpcError`.
    pub(crate) fn from_handler<E: fmt::Display + 'static>(error: E) -> Self {
        let any: &dyn Any = &error;
        any.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::other(error))
    }

    /// An error as the other side sent it; whatever it is, it becomes one.
    pub(crate) fn read(error: &RawValue) -> Self {
        let other = |_| Self::new(code::SERVER, error.get());
        serde_json::from_str(error.get()).unwrap_or_else(other)
    }

    pub(crate) fn parse(text: impl Into<String>) -> Self {
        Self::new(code::PARSE, text)
    }

    pub(crate) fn invalid_request() -> Self {
        Self::new(code::INVALID_REQUEST, "invalid request")
    }

    pub(crate) fn empty_batch() -> Self {
        Self::new(code::INVALID_REQUEST, "empty batch")
    }

    pub(crate) fn batch_too_large() -> Self {
        Self::new(code::INVALID_REQUEST, "batch too large")
    }

    pub(crate) fn name_too_long(length: usize, limit: usize) -> Self {
        Self::new(code::INVALID_REQUEST, format!("method name too long: {length} > {limit}"))
    }

    pub(crate) fn no_method(method: &str) -> Self {
        let text = format!("the method {method} does not exist/is not available");
        Self::new(code::METHOD_NOT_FOUND, text)
    }

    pub(crate) fn no_subscription(name: &str, namespace: &str) -> Self {
        let text = format!("no {name:?} subscription in {namespace} namespace");
        Self::new(code::METHOD_NOT_FOUND, text)
    }

    pub(crate) fn no_notifications() -> Self {
        Self::new(code::METHOD_NOT_FOUND, "notifications not supported")
    }

    pub(crate) fn subscription_not_found() -> Self {
        Self::new(code::SERVER, "subscription not found")
    }

    pub(crate) fn too_many_subscriptions() -> Self {
        Self::new(code::SERVER, "too many subscriptions")
    }

    pub(crate) fn subscription_overflow() -> Self {
        Self::new(code::SERVER, "subscription queue overflow")
    }

    /// Something about the arguments.
    pub fn invalid_params(text: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, text)
    }

    pub(crate) fn crashed() -> Self {
        Self::new(code::INTERNAL, "method handler crashed")
    }

    pub(crate) fn not_encodable(cause: &serde_json::Error) -> Self {
        Self::new(code::INTERNAL, cause.to_string())
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(code::TIMEOUT, "request timed out")
    }

    pub(crate) fn response_too_large() -> Self {
        Self::new(code::RESPONSE_TOO_LARGE, "response too large")
    }
}

impl PartialEq for RpcError {
    fn eq(&self, other: &Self) -> bool {
        let data = |error: &Self| error.data.as_ref().map(|data| data.get().to_owned());
        self.code == other.code && self.message == other.message && data(self) == data(other)
    }
}

impl Eq for RpcError {}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RpcError {}

/// The codes that this crate answers with.
pub mod code {
    /// What came is not JSON.
    pub const PARSE: i64 = -32_700;
    /// JSON, but not a request; a batch that is empty or too large; a method name that is too long.
    pub const INVALID_REQUEST: i64 = -32_600;
    /// No such method or subscription, or no subscriptions on this transport.
    pub const METHOD_NOT_FOUND: i64 = -32_601;
    /// Too few, too many or wrong arguments.
    pub const INVALID_PARAMS: i64 = -32_602;
    /// The handler panicked, or its result has no JSON form.
    pub const INTERNAL: i64 = -32_603;
    /// Any error of a handler that does not choose another code.
    pub const SERVER: i64 = -32_000;
    /// The call took longer than the server allows.
    pub const TIMEOUT: i64 = -32_002;
    /// The answers of a batch are larger than the server allows.
    pub const RESPONSE_TOO_LARGE: i64 = -32_003;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_handler_travels_with_its_text_and_the_general_code() {
        assert_eq!(RpcError::from_handler("Already sent"), RpcError::new(-32_000, "Already sent"));
        assert_eq!(RpcError::from_handler(fmt::Error).code(), -32_000);
    }

    #[test]
    fn an_rpc_error_of_a_handler_keeps_code_and_data() {
        let error = RpcError::new(7, "seven").with_data(&7);

        assert_eq!(RpcError::from_handler(error.clone()), error);
    }

    #[test]
    fn the_json_form_has_code_message_and_data_in_this_order() {
        let plain = serde_json::to_string(&RpcError::new(1, "a \"text\"")).expect("plain data");
        assert_eq!(plain, r#"{"code":1,"message":"a \"text\""}"#);

        let data = RpcError::new(1, "a").with_data(&serde_json::json!({"b": 2}));
        let text = serde_json::to_string(&data).expect("plain data");
        assert_eq!(text, r#"{"code":1,"message":"a","data":{"b":2}}"#);
        assert_eq!(serde_json::from_str::<RpcError>(&text).expect("its own form"), data);
    }
}
