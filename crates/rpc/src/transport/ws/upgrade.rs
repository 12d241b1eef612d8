//! From HTTP to a WebSocket: the request, and the answer to it.
//!
//! ```text
//!   GET / HTTP/1.1                          HTTP/1.1 101 Switching Protocols
//!   Connection: Upgrade                     Connection: Upgrade
//!   Upgrade: websocket                ──▶   Upgrade: websocket
//!   Sec-WebSocket-Version: 13               Sec-WebSocket-Accept: hash of the key
//!   Sec-WebSocket-Key: 16 bytes
//! ```
//!
//! Extensions are not taken, compression among them. A protocol that the client asks for is not named
//! in the answer: old clients ask for one by habit and expect none.
//!
//! Spec: RFC 6455, 4.2; ethereum/go-ethereum:node/rpcstack.go, `isWebsocket`.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Why there is no upgrade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UpgradeError {
    /// Not version 13.
    Version,
    /// The key is missing, or is not 16 bytes in base64.
    Key,
}

/// Whether a request wants to become a WebSocket.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && headers.get_all(header::CONNECTION).iter().any(|value| {
            let tokens = value.as_bytes().split(|byte| *byte == b',');
            tokens.into_iter().any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        })
}

/// The value that says that the request was understood.
///
/// # Errors
///
/// [`UpgradeError`].
pub(crate) fn accept(headers: &HeaderMap) -> Result<HeaderValue, UpgradeError> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    if version != Some(b"13") {
        return Err(UpgradeError::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key.filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let accept = derive_accept_key(key.ok_or(UpgradeError::Key)?);
    HeaderValue::try_from(accept).map_err(|_| UpgradeError::Key)
}

/// Makes an answer the one that says yes.
pub(crate) fn switch<B>(answer: &mut Response<B>, accept: HeaderValue) {
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn an_upgrade_is_asked_for_with_two_headers() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("keep-alive", "websocket", false),
            ("upgraded", "websocket", false),
            ("upgrade", "h2c", false),
            ("upgrade", "", false),
        ] {
            let headers = headers(&[("connection", connection), ("upgrade", upgrade)]);

            assert_eq!(is_asked_for(&headers), expected, "{connection}; {upgrade}");
        }
        assert!(!is_asked_for(&headers(&[("upgrade", "websocket")])));
    }

    /// The example of RFC 6455, 1.3.
    #[test]
    fn the_accepting_value_is_the_hash_of_the_key() {
        let headers = headers(&[
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);

        assert_eq!(accept(&headers).expect("accepted"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn another_version_and_a_bad_key_are_refused() {
        for (version, key, expected) in [
            ("8", "dGhlIHNhbXBsZSBub25jZQ==", UpgradeError::Version),
            ("13", "dGhlIHNhbXBsZSBub25j", UpgradeError::Key),
            ("13", "no key", UpgradeError::Key),
            ("13", "", UpgradeError::Key),
        ] {
            let headers =
                headers(&[("sec-websocket-version", version), ("sec-websocket-key", key)]);

            assert_eq!(accept(&headers), Err(expected), "{version} {key}");
        }
        assert_eq!(accept(&HeaderMap::new()), Err(UpgradeError::Version));
    }
}
