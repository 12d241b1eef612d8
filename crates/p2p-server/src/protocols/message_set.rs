//! The messages of a protocol as one enum.

use bytes::Bytes;

/// All messages that a protocol knows. Made with [`message_set!`](crate::message_set).
pub trait MessageSet: Sized + Send + 'static {
    /// How many codes the protocol has: one more than the largest.
    const LENGTH: u64;

    /// The code of this message.
    fn code(&self) -> u64;

    /// The payload: the RLP of what the variant holds.
    fn encode(&self) -> Bytes;

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`MessageSetError`] when no message has this code, or its payload is not exactly one such value.
    fn decode(code: u64, payload: &[u8]) -> Result<Self, MessageSetError>;
}

/// Why a message is none of a protocol's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageSetError {
    /// No message has this code.
    #[error("invalid message code: {code}")]
    Code {
        /// The code, relative to the protocol.
        code: u64,
    },
    /// The payload does not decode as the message with this code.
    #[error("invalid message (RLP error): {code} err={source}")]
    Decode {
        /// The code, relative to the protocol.
        code: u64,
        /// What is wrong with it.
        source: alloy_rlp::Error,
    },
    /// It is longer than the protocol allows.
    #[error("message too long: {size} > {limit}")]
    TooLong {
        /// The payload's length, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Declares the messages of a protocol: an enum whose variants hold one RLP value each, with the code
/// beside the variant.
///
/// The enum gets [`MessageSet`](crate::protocols::MessageSet), and `From` for what each variant holds,
/// so that it can be sent as it is. No two variants may hold the same type or have the same code;
/// codes need not be contiguous.
///
/// ```
/// use p2p_server::{message_set, protocols::MessageSet as _};
///
/// message_set! {
///     /// Everything the protocol can say.
///     #[derive(Debug, PartialEq)]
///     pub enum Talk {
///         /// A word.
///         Word(String) = 0,
///         /// A number.
///         Number(u64) = 2,
///     }
/// }
///
/// assert_eq!(Talk::LENGTH, 3);
/// assert_eq!(Talk::from(7_u64).code(), 2);
/// assert_eq!(Talk::decode(0, &[0x83, b'f', b'o', b'o']), Ok(Talk::Word("foo".to_owned())));
/// ```
#[macro_export]
macro_rules! message_set {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident($type:ty) = $code:literal),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$of_variant])* $variant($type)),+
        }

        impl $crate::protocols::MessageSet for $name {
            const LENGTH: u64 = {
                let codes: &[u64] = &[$($code),+];
                $crate::protocols::length_of(codes)
            };

            fn code(&self) -> u64 {
                match self {
                    $(Self::$variant(_) => $code),+
                }
            }

            fn encode(&self) -> $crate::protocols::__Bytes {
                match self {
                    $(Self::$variant(message) => $crate::protocols::__encode(message)),+
                }
            }

            fn decode(
                code: u64,
                payload: &[u8],
            ) -> ::std::result::Result<Self, $crate::protocols::MessageSetError> {
                match code {
                    $($code => $crate::protocols::__decode(code, payload).map(Self::$variant),)+
                    _ => ::std::result::Result::Err($crate::protocols::MessageSetError::Code { code }),
                }
            }
        }

        $(
            impl ::std::convert::From<$type> for $name {
                fn from(message: $type) -> Self {
                    Self::$variant(message)
                }
            }
        )+
    };
}

/// One more than the largest code; two equal ones do not compile.
#[doc(hidden)]
pub const fn length_of(codes: &[u64]) -> u64 {
    let mut length = 0;
    let mut index = 0;
    while index < codes.len() {
        let mut other = 0;
        while other < index {
            assert!(codes[index] != codes[other], "two messages have the same code");
            other += 1;
        }
        if codes[index] >= length {
            length = codes[index] + 1;
        }
        index += 1;
    }
    length
}

/// One value, and nothing behind it.
///
/// # Errors
///
/// [`MessageSetError::Decode`].
#[doc(hidden)]
pub fn decode<T: alloy_rlp::Decodable>(code: u64, payload: &[u8]) -> Result<T, MessageSetError> {
    alloy_rlp::decode_exact(payload).map_err(|source| MessageSetError::Decode { code, source })
}

/// A value as a payload.
#[doc(hidden)]
pub fn encode<T: alloy_rlp::Encodable>(message: &T) -> Bytes {
    let mut payload = Vec::with_capacity(message.length());
    message.encode(&mut payload);
    payload.into()
}
