//! Who knows the secret: JSON web tokens, signed with HMAC-SHA256.
//!
//! ```text
//!   Authorization: Bearer eyJhbGciOi….eyJpYXQiOj….KAkVW64p…
//!                         ├ header ──┤├ claims ──┤├ HMAC of both with the secret
//!                         {"alg":"HS256"}  {"iat":1700000000}
//! ```
//!
//! A token says when it was made (`iat`), and is worth something for a minute before and after.
//! What it says is looked at only once its signature is known to be good; that it names its own
//! algorithm is the known hole of the format, so one is accepted and no other.
//!
//! Spec: ethereum/go-ethereum:node/jwt_handler.go; RFC 7515, RFC 7519; engine API, authentication.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::at_most_one;

/// A secret of 32 bytes that a server shares with its clients.
///
/// Wiped from memory on drop, never printed.
#[derive(Clone)]
pub struct JwtSecret {
    /// The secret, padded with zeros to a block of the hash as HMAC does.
    block: Zeroizing<[u8; BLOCK_LENGTH]>,
}

impl JwtSecret {
    /// Takes the bytes of a secret, which must be random.
    pub fn from_bytes(secret: &[u8; SECRET_LENGTH]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_LENGTH]);
        if let Some(start) = block.first_chunk_mut() {
            *start = *secret;
        }
        Self { block }
    }

    /// Imports 64 hex digits, with or without a leading `0x`; white space around them is ignored.
    ///
    /// # Errors
    ///
    /// [`JwtSecretError`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, JwtSecretError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        // The decoder alone would take a second prefix.
        if digits.len() != 2 * SECRET_LENGTH {
            return Err(JwtSecretError);
        }
        const_hex::decode_to_slice(digits, &mut *secret).map_err(|_| JwtSecretError)?;
        Ok(Self::from_bytes(&secret))
    }

    /// Makes a token for a request that is sent now, in seconds since 1970.
    ///
    /// It goes into the header `Authorization`, after `Bearer `.
    pub fn token(&self, now: u64) -> String {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"iat\":{now}}}"));
        let signed = format!("{HEADER}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Checks the values of a request's `Authorization` headers, `now` in seconds since 1970.
    ///
    /// There must be exactly one, `Bearer` (in any case), one space and a token. Besides `iat` the
    /// token may say `exp`, from when on it is void, and `nbf`, up to when it is not yet valid;
    /// `nbf` gets the same minute of clock difference as `iat`. go-ethereum ignores `nbf`, and all
    /// headers but the first.
    ///
    /// # Errors
    ///
    /// [`TokenError`]. Its text is the body of the answer, with status 401 whatever the variant.
    pub fn verify<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
        now: u64,
    ) -> Result<(), TokenError> {
        let value = at_most_one(values).map_err(|()| TokenError::SeveralHeaders)?;
        let token = value.and_then(bearer).ok_or(TokenError::Missing)?;
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::TooLong { got: token.len(), limit: MAX_TOKEN_LENGTH });
        }
        check_claims(&self.signed_claims(token)?, now)
    }

    /// The claims of a token with a good signature.
    fn signed_claims(&self, token: &[u8]) -> Result<Map<String, Value>, TokenError> {
        let (signed, signature) = rsplit_once(token).ok_or(TokenError::Segments)?;
        let (header, claims) = rsplit_once(signed).ok_or(TokenError::Segments)?;
        if header.contains(&SEPARATOR) {
            return Err(TokenError::Segments);
        }
        check_algorithm(&object(header).ok_or(TokenError::Header)?)?;
        let got = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Signature)?;
        // In constant time, or the time to answer would tell how many bytes are right.
        if !bool::from(self.signature(signed).ct_eq(&got[..])) {
            return Err(TokenError::Signature);
        }
        object(claims).ok_or(TokenError::Claims)
    }

    /// The HMAC of the bytes.
    fn signature(&self, signed: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        let mac = Hmac::<Sha256>::new((&*self.block).into());
        mac.chain_update(signed).finalize().into_bytes().into()
    }

    /// The 32 bytes, for the file they are kept in.
    pub(super) fn bytes(&self) -> &[u8] {
        self.block.split_at_checked(SECRET_LENGTH).map_or(&[], |(secret, _)| secret)
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

/// A text is no secret: not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid JWT secret")]
pub struct JwtSecretError;

/// Why a request with or without a token is refused, in go-ethereum's words.
///
/// The caller is to blame; [`Stale`](Self::Stale) and [`Future`](Self::Future) may be due to a
/// clock that is wrong on either side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no `Authorization` header, or no token of the kind `Bearer` in it.
    #[error("missing token")]
    Missing,
    /// There are two `Authorization` headers or more.
    #[error("more than one authorization header")]
    SeveralHeaders,
    /// The token is over its limit, and not looked at.
    #[error("token of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// Length of the token, in bytes.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The token does not consist of three parts with a dot between them.
    #[error("token contains an invalid number of segments")]
    Segments,
    /// The header is no base64url of a JSON object.
    #[error("token header is malformed")]
    Header,
    /// The header names an algorithm other than HS256.
    #[error("signing method {got} is invalid")]
    Algorithm {
        /// The algorithm.
        got: &'static str,
    },
    /// The header names an algorithm that is in no standard.
    #[error("signing method (alg) is unavailable.")]
    UnknownAlgorithm,
    /// The header names no algorithm.
    #[error("signing method (alg) is unspecified.")]
    NoAlgorithm,
    /// The signature was not made with our secret.
    #[error("signature is invalid")]
    Signature,
    /// The claims are no base64url of a JSON object, or a time among them is no number.
    #[error("token claims are malformed")]
    Claims,
    /// The time in `exp` has come.
    #[error("token is expired")]
    Expired,
    /// The time in `nbf` has not come.
    #[error("token is not valid yet")]
    NotYet,
    /// The claims do not say when the token was made.
    #[error("missing issued-at")]
    NoIssuedAt,
    /// The token was made too long ago.
    #[error("stale token")]
    Stale,
    /// The token was made at a time that has not come.
    #[error("future token")]
    Future,
}

/// What follows `Bearer `, if anything does.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(BEARER.len())?;
    (scheme.eq_ignore_ascii_case(BEARER) && !token.is_empty()).then_some(token)
}

fn rsplit_once(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == SEPARATOR)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.split_first()?.1))
}

fn object(segment: &[u8]) -> Option<Map<String, Value>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(segment).ok()?;
    serde_json::from_slice(&json).ok()
}

fn check_algorithm(header: &Map<String, Value>) -> Result<(), TokenError> {
    match header.get("alg").and_then(Value::as_str) {
        Some(ALGORITHM) => Ok(()),
        // Other text is not repeated: it would end up in somebody's log.
        Some(other) => Err(OTHER_ALGORITHMS
            .into_iter()
            .find(|known| *known == other)
            .map_or(TokenError::UnknownAlgorithm, |got| TokenError::Algorithm { got })),
        None => Err(TokenError::NoAlgorithm),
    }
}

fn check_claims(claims: &Map<String, Value>, now: u64) -> Result<(), TokenError> {
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 200 million years")]
    let now = now as f64;
    if time(claims, "exp")?.is_some_and(|expires| expires <= now) {
        return Err(TokenError::Expired);
    }
    if time(claims, "nbf")?.is_some_and(|begins| begins - now > MAX_SKEW) {
        return Err(TokenError::NotYet);
    }
    let issued = time(claims, "iat")?.ok_or(TokenError::NoIssuedAt)?;
    if now - issued > MAX_SKEW {
        return Err(TokenError::Stale);
    }
    if issued - now > MAX_SKEW {
        return Err(TokenError::Future);
    }
    Ok(())
}

/// A claim in seconds since 1970, without what is less than a second.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(|time| Some(time.trunc())).ok_or(TokenError::Claims),
    }
}

/// Base64url of `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

const BEARER: &[u8] = b"bearer ";

const SEPARATOR: u8 = b'.';

const ALGORITHM: &str = "HS256";

/// What else RFC 7518 and RFC 8037 define.
const OTHER_ALGORITHMS: [&str; 13] = [
    "none", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256",
    "PS384", "PS512", "EdDSA",
];

/// Seconds that the clocks of client and server may differ, or a token may be on its way.
///
/// Source: ethereum/go-ethereum:node/jwt_handler.go, `jwtExpiryTimeout`.
const MAX_SKEW: f64 = 60.0;

/// Bytes of a token that are looked at; one of ours has 108.
const MAX_TOKEN_LENGTH: usize = 4096;

/// Bytes of a secret.
///
/// Source: engine API, authentication: 256 bits.
pub(super) const SECRET_LENGTH: usize = 32;

/// Bytes of an HMAC-SHA256.
const SIGNATURE_LENGTH: usize = 32;

/// Bytes that SHA-256 takes at once, which HMAC pads its key to.
const BLOCK_LENGTH: usize = 64;

#[cfg(test)]
mod tests;
