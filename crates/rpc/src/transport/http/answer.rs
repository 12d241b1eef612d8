//! Answers, and refusals in go-ethereum's words.
//!
//! Source: ethereum/go-ethereum:rpc/http.go, `validateRequest`; node/rpcstack.go.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};

use crate::{RefusedBy, RpcError, access::Hosts, message};

/// The body of an answer: one of ours, or whatever a route makes.
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

pub(super) type Answer = Response<AnswerBody>;

/// The answer to a call or a batch; empty if there is nothing to say.
pub(super) fn json(body: Option<Bytes>) -> Answer {
    let mut answer = full(body.unwrap_or_default());
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// The answer to a body that is none. To a client of HTTP no more is told than what failed.
pub(super) fn unreadable(text: &'static str) -> Answer {
    let mut out = bytes::BytesMut::new();
    message::write_error(&mut out, None, &RpcError::parse(text));
    json(Some(out.freeze()))
}

/// Status 200, and nothing.
pub(super) fn empty() -> Answer {
    full(Bytes::new())
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    Host,
    Origin,
    Token(String),
    Method,
    ContentType,
    TooLarge { got: u64, limit: usize },
    Upgrade(&'static str),
    WsVersion,
    TooManySockets,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        let (status, text) = self.status_and_text();
        let mut answer = full(Bytes::from(text.into_owned()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, TEXT);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST, GET, OPTIONS"));
            }
            Self::WsVersion => {
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            _ => {}
        }
        answer
    }

    /// The limit because of which it is one, if it is one because of a limit.
    pub(super) fn limit(&self) -> Option<RefusedBy> {
        match self {
            Self::TooLarge { .. } => Some(RefusedBy::BodyBytes),
            Self::TooManySockets => Some(RefusedBy::WsConnections),
            _ => None,
        }
    }

    fn status_and_text(&self) -> (StatusCode, Cow<'static, str>) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "404 page not found".into()),
            Self::Host => (StatusCode::FORBIDDEN, Hosts::REFUSAL.into()),
            Self::Origin => (StatusCode::FORBIDDEN, crate::Origins::REFUSAL.into()),
            Self::Token(text) => (StatusCode::UNAUTHORIZED, text.clone().into()),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed".into()),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid content type, only application/json is supported".into(),
            ),
            Self::TooLarge { got, limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("content length too large ({got}>{limit})").into(),
            ),
            Self::Upgrade(text) => (StatusCode::BAD_REQUEST, (*text).into()),
            Self::WsVersion => {
                (StatusCode::UPGRADE_REQUIRED, "unsupported websocket version".into())
            }
            Self::TooManySockets => (StatusCode::SERVICE_UNAVAILABLE, "too many websockets".into()),
        }
    }
}

pub(super) fn full(body: Bytes) -> Answer {
    Response::new(Either::Left(Full::new(body)))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
