//! Where a client connects by URL, and what it says of itself there.
//!
//! ```text
//!   ws://user:secret@localhost:8546/path?a=b#c
//!   ├┘   ├─────────┘ ├────────────┘├───────┘ └ never sent
//!   │    │           └ dialed      └ asked for
//!   │    └ Authorization: Basic …, and in no text of ours
//!   └ http or ws
//! ```

use std::{
    fmt, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{self, Entry},
};
use tokio::net::TcpStream;
use url::Url;

use super::ClientError;
use crate::JwtSecret;

/// See the module's comment.
pub(super) struct Endpoint {
    pub(super) uri: Uri,
    host: String,
    port: u16,
    /// Without a password.
    shown: String,
    identity: Identity,
}

/// What a client says of itself to a server over HTTP and WebSocket.
#[derive(Debug, Default, Clone)]
pub(super) struct Identity {
    headers: HeaderMap,
    jwt: Option<JwtSecret>,
}

impl Identity {
    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`ClientError::Header`] when it is none, or one that the transport writes itself.
    pub(super) fn add_header(&mut self, name: &str, value: &str) -> Result<(), ClientError> {
        let wrong = |reason| ClientError::Header { name: name.to_owned(), reason };
        let parsed: HeaderName = name.parse().map_err(|_| wrong("the name has no such letters"))?;
        let mut value: HeaderValue =
            value.parse().map_err(|_| wrong("the value has no such letters"))?;
        if OF_THE_TRANSPORT.contains(&parsed) {
            return Err(wrong("the transport writes it"));
        }
        // Whatever it is, it is nothing for a log.
        value.set_sensitive(true);
        self.headers.append(parsed, value);
        Ok(())
    }

    pub(super) fn set_jwt(&mut self, secret: JwtSecret) {
        self.jwt = Some(secret);
    }
}

impl Endpoint {
    /// Takes a URL apart that begins with `http://` or `ws://`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`].
    pub(super) fn parse(url: &str, mut identity: Identity) -> Result<Self, ClientError> {
        let shown = without_password(url);
        let wrong = |reason: String| ClientError::Url { url: shown.clone(), reason };
        let mut parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let host = parsed.host_str().ok_or_else(|| wrong("no host".to_owned()))?.to_owned();
        let port = parsed.port_or_known_default().ok_or_else(|| wrong("no port".to_owned()))?;
        if let Some(value) = basic(&parsed) {
            identity.headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        parsed.set_fragment(None);
        // Both can only fail for a URL that has no host.
        let _ = parsed.set_username("");
        let _ = parsed.set_password(None);
        let uri = parsed
            .as_str()
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        Ok(Self { uri, host, port, shown, identity })
    }

    /// The headers of a request that is sent now, behind those that it has. A token is new each time,
    /// as it is worth something for a minute only.
    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        let mut replaced = None;
        for (name, value) in &self.identity.headers {
            // Of one name, the first of ours takes the place of the transport's.
            match headers.entry(name) {
                Entry::Occupied(mut entry) if replaced != Some(name) => {
                    drop(entry.insert(value.clone()))
                }
                Entry::Occupied(mut entry) => entry.append(value.clone()),
                Entry::Vacant(entry) => drop(entry.insert(value.clone())),
            }
            replaced = Some(name);
        }
        if let Some(secret) = &self.identity.jwt {
            headers.insert(header::AUTHORIZATION, bearer(secret));
        }
    }

    /// Opens a connection within 10 s.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) async fn dial(&self) -> io::Result<TcpStream> {
        // An IPv6 address is in brackets in a URL, and without them everywhere else.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let dialing = TcpStream::connect((host, self.port));
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "timed out");
        let socket = tokio::time::timeout(DIAL, dialing).await.map_err(late)??;
        // A call is one small write, and its answer is waited for.
        socket.set_nodelay(true)?;
        Ok(socket)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.shown).finish_non_exhaustive()
    }
}

/// A URL as it may be shown: also one that is none.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The header for the user and the password of a URL.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decoded(url.username());
    pair.push(b':');
    pair.extend(percent_decoded(url.password().unwrap_or_default()));
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
    sensitive(&value)
}

fn bearer(secret: &JwtSecret) -> HeaderValue {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let value = format!("Bearer {}", secret.token(now.as_secs()));
    sensitive(&value).unwrap_or_else(|| HeaderValue::from_static("Bearer"))
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        match digits.and_then(|digits| const_hex::decode(digits).ok()) {
            Some(byte) => {
                decoded.extend(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

/// Headers that say where a message ends, and what the connection is.
const OF_THE_TRANSPORT: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How long connecting may take.
///
/// Source: ethereum/go-ethereum:rpc/client.go, `defaultDialTimeout`.
pub(super) const DIAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_of(endpoint: &Endpoint) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        endpoint.write_headers(&mut headers);
        headers
    }

    fn parse(url: &str) -> Endpoint {
        Endpoint::parse(url, Identity::default()).expect("a URL")
    }

    #[test]
    fn a_url_is_dialed_and_asked_for_by_its_parts() {
        for (url, host, port, uri) in [
            ("http://localhost", "localhost", 80, "http://localhost/"),
            ("ws://127.0.0.1:8546/x?y=1#z", "127.0.0.1", 8546, "ws://127.0.0.1:8546/x?y=1"),
            ("http://[::1]:1", "[::1]", 1, "http://[::1]:1/"),
            ("http://a:b@host/p", "host", 80, "http://host/p"),
        ] {
            let endpoint = parse(url);
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{url}");
            assert_eq!(endpoint.uri, uri, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_its_password() {
        for url in ["http://", "http://:80", "http://user:secret@host:port/", "ws://user:secret@"] {
            let error = Endpoint::parse(url, Identity::default()).expect_err(url);
            assert!(matches!(error, ClientError::Url { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_in_the_url_becomes_a_header_and_is_shown_nowhere() {
        let endpoint = parse("http://us%65r:se%63ret%3a%@host:1/");

        let value = &headers_of(&endpoint)[header::AUTHORIZATION];
        let encoded = BASE64_STANDARD.encode("user:secret:%");
        assert_eq!(value.to_str().expect("text"), format!("Basic {encoded}"));
        assert!(value.is_sensitive());
        let shown = format!("{endpoint} {endpoint:?}");
        assert!(shown.contains("http://host:1/"), "{shown}");
        assert!(!shown.contains("se"), "{shown}");
    }

    #[test]
    fn headers_may_come_more_than_once_and_replace_those_of_the_transport() {
        let mut identity = Identity::default();
        for (name, value) in [("X-A", "1"), ("x-a", "2"), ("Content-Type", "text/plain")] {
            identity.add_header(name, value).expect("a header");
        }
        let endpoint = Endpoint::parse("http://host", identity).expect("a URL");

        let headers = headers_of(&endpoint);

        let values: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        let types: Vec<_> = headers.get_all(header::CONTENT_TYPE).iter().collect();
        assert_eq!(types, ["text/plain"]);
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused() {
        let mut identity = Identity::default();
        for (name, value) in [
            ("a b", "1"),
            ("", "1"),
            ("x", "1\r\ny: 2"),
            ("Content-Length", "1"),
            ("upgrade", "h2c"),
            ("Sec-WebSocket-Key", "x"),
        ] {
            let error = identity.add_header(name, value).expect_err(name);
            assert!(matches!(error, ClientError::Header { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_token_takes_the_place_of_a_password() {
        let secret = JwtSecret::from_bytes(&[7; 32]);
        let mut identity = Identity::default();
        identity.set_jwt(secret.clone());
        let endpoint = Endpoint::parse("http://a:b@host", identity).expect("a URL");

        let headers = headers_of(&endpoint);

        let values = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        secret.verify(values, now).expect("one token, and fresh");
    }
}
