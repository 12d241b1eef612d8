//! Where one JSON value ends and the next begins, while the bytes still arrive.
//!
//! A stream carries values back to back and cuts them anywhere: inside a string that holds a
//! bracket, inside an escape, inside a letter. Counting brackets would be fooled, and parsing what
//! there is again after each read costs the square of a value's size. The scanner keeps its place
//! instead, looks at each byte once, and refuses what can no longer become JSON at the byte that
//! spoils it, before the rest is waited for and stored.
//!
//! ```text
//!   read 1      {"method":"a}b
//!               └─────────────── Incomplete: the place is kept, the caller keeps the bytes
//!   read 2      {"method":"a}b\"c"} {"met
//!                             └───┘        only these were looked at
//!               └─────────────────┘        Value(0..19), which the caller takes out
//!   what is left                   {"met
//! ```
//!
//! A value is what RFC 8259 says, with bytes that are UTF-8. An object, array, string or literal
//! is complete at its last byte, a number at top level at the byte behind it, which belongs to the
//! next value. Memory beside the bytes is one bit for each open bracket.
//!
//! Spec: RFC 8259; ethereum/go-ethereum:rpc/json.go reads with Go's `encoding/json`, whose
//! verdicts and texts these are. Unlike it we refuse bytes that are no UTF-8 instead of replacing
//! them, and limit size and depth.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod error;
mod nesting;
mod number;
mod text;

#[cfg(test)]
mod tests;

use std::ops::Range;

use self::{
    error::{Context, Word},
    nesting::Nesting,
    number::Part,
    text::Tail,
};

pub(crate) use self::error::ScanError;

/// How large and how deep a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanLimits {
    /// Bytes from the first to the last of a value, white space around it not counted.
    pub(crate) max_bytes: usize,
    /// Brackets that may be open at once.
    pub(crate) max_depth: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { max_bytes: 32 * 1024 * 1024, max_depth: 128 }
    }
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scan {
    /// A complete value stands at this place of the buffer. The caller goes on behind its end; the
    /// scanner already waits for the next value.
    Value(Range<usize>),
    /// No value is complete yet.
    Incomplete {
        /// Bytes of white space at the start of the buffer. The caller must drop them now: the
        /// scanner counts from behind them.
        discard: usize,
    },
}

/// Splits a stream of bytes into JSON values.
///
/// An error is final: where the next value would begin is unknown, so each later call repeats it.
#[derive(Debug)]
pub(crate) struct Scanner {
    limits: ScanLimits,
    /// Bytes of the current value that were looked at. None: no value has begun.
    seen: usize,
    state: State,
    /// What follows the string that is being read.
    after_text: State,
    nesting: Nesting,
    failed: Option<ScanError>,
}

impl Scanner {
    /// A scanner before its first value.
    pub(crate) const fn new(limits: ScanLimits) -> Self {
        Self {
            limits,
            seen: 0,
            state: State::Value,
            after_text: State::Complete,
            nesting: Nesting::new(),
            failed: None,
        }
    }

    /// Looks at what is new in `buf`.
    ///
    /// `buf` starts at the first byte that was neither part of a value nor discarded, and holds
    /// everything received since. Bytes that an earlier call looked at are not looked at again.
    ///
    /// # Errors
    ///
    /// When no continuation of the bytes is JSON, or the value is over a limit.
    pub(crate) fn scan(&mut self, buf: &[u8]) -> Result<Scan, ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let scanned = self.scan_new(buf);
        self.failed = scanned.as_ref().err().copied();
        scanned
    }

    /// Looks at what is new in `buf`, behind which nothing follows.
    ///
    /// Returns the next value, or nothing when only white space is left: a caller with several
    /// values in its buffer calls again with what is behind the range. A number at top level is
    /// complete now.
    ///
    /// # Errors
    ///
    /// Those of [`scan`](Self::scan), and [`ScanError::UnexpectedEnd`] within a value.
    pub(crate) fn finish(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, ScanError> {
        let start = match self.scan(buf)? {
            Scan::Value(range) => return Ok(Some(range)),
            Scan::Incomplete { discard } => discard,
        };
        match self.state {
            _ if self.seen == 0 => Ok(None),
            State::Number(part) if self.nesting.is_empty() && part.may_end() => {
                self.reset();
                Ok(Some(start..buf.len()))
            }
            _ => Err(*self.failed.insert(ScanError::UnexpectedEnd)),
        }
    }

    fn scan_new(&mut self, buf: &[u8]) -> Result<Scan, ScanError> {
        let start = if self.seen == 0 { count_space(buf) } else { 0 };
        let received = buf.get(start..).unwrap_or_default();
        let allowed = received.get(..self.limits.max_bytes).unwrap_or(received);
        let mut rest = allowed.get(self.seen..).unwrap_or_default();

        let complete = self.run(&mut rest)?;
        self.seen = allowed.len().saturating_sub(rest.len());
        if complete || self.ends_before(received.get(self.limits.max_bytes)) {
            let end = start.saturating_add(self.seen);
            self.reset();
            return Ok(Scan::Value(start..end));
        }
        if received.len() > self.limits.max_bytes {
            return Err(ScanError::TooLarge { limit: self.limits.max_bytes });
        }
        Ok(Scan::Incomplete { discard: start })
    }

    /// Whether the value is a number that the byte behind the limit ends rather than prolongs.
    fn ends_before(&self, behind: Option<&u8>) -> bool {
        match (self.state, behind) {
            (State::Number(part), Some(&byte)) => {
                self.nesting.is_empty() && part.may_end() && part.next(byte).is_none()
            }
            _ => false,
        }
    }

    /// Takes bytes until the value is complete (true) or there are no more (false).
    fn run(&mut self, bytes: &mut &[u8]) -> Result<bool, ScanError> {
        // A copy, which unlike a field stays in a register from byte to byte.
        let mut state = self.state;
        let complete = loop {
            *bytes = match state {
                State::Text => text::skip(bytes),
                State::Number(part) if part.is_digit() => number::skip_digits(bytes),
                _ => bytes,
            };
            let Some((&byte, rest)) = bytes.split_first() else { break Ok(false) };
            match self.step(state, byte) {
                // The byte belongs to whatever the number stands in.
                Ok(State::NumberEnd) => state = self.after_value(),
                Ok(next) => {
                    state = next;
                    *bytes = rest;
                }
                Err(refusal) => break Err(self.error(byte, refusal)),
            }
            if state == State::Complete {
                break Ok(true);
            }
        };
        self.state = state;
        complete
    }

    fn error(&self, byte: u8, refusal: Refusal) -> ScanError {
        match refusal {
            Refusal::Syntax(context) => ScanError::Syntax { byte, context },
            Refusal::Utf8 => ScanError::Utf8 { byte },
            Refusal::TooDeep => ScanError::TooDeep { limit: self.limits.max_depth },
        }
    }

    /// The state after a byte.
    fn step(&mut self, state: State, byte: u8) -> Result<State, Refusal> {
        match state {
            State::Value => self.begin_value(State::Value, byte),
            State::FirstElement if byte == b']' => Ok(self.close()),
            State::FirstElement => self.begin_value(State::FirstElement, byte),
            State::AfterElement => match byte {
                b',' => Ok(State::Value),
                b']' => Ok(self.close()),
                _ => space(State::AfterElement, byte, Context::AfterElement),
            },
            State::FirstKey | State::Key => match byte {
                b'"' => Ok(self.open_text(State::Colon)),
                b'}' if state == State::FirstKey => Ok(self.close()),
                _ => space(state, byte, Context::Key),
            },
            State::Colon => match byte {
                b':' => Ok(State::Value),
                _ => space(State::Colon, byte, Context::AfterKey),
            },
            State::AfterMember => match byte {
                b',' => Ok(State::Key),
                b'}' => Ok(self.close()),
                _ => space(State::AfterMember, byte, Context::AfterMember),
            },
            State::Text => self.in_text(byte),
            State::Escape => in_escape(byte),
            State::Hex { left } => in_hex(left, byte),
            State::Letter(tail) => match tail.next(byte) {
                Some(tail) if tail.is_empty() => Ok(State::Text),
                Some(tail) => Ok(State::Letter(tail)),
                None => Err(Refusal::Utf8),
            },
            State::Literal { word, matched } => self.in_literal(word, matched, byte),
            State::Number(part) => match part.next(byte) {
                Some(part) => Ok(State::Number(part)),
                None if part.may_end() => Ok(State::NumberEnd),
                None => Err(Refusal::Syntax(part.context())),
            },
            // Not reached: `run` goes on from neither.
            State::NumberEnd | State::Complete => Err(Refusal::Syntax(Context::AfterTopLevel)),
        }
    }

    fn begin_value(&mut self, state: State, byte: u8) -> Result<State, Refusal> {
        match byte {
            b'"' => Ok(self.open_text(self.after_value())),
            b'{' => self.open(true, State::FirstKey),
            b'[' => self.open(false, State::FirstElement),
            b't' => Ok(State::Literal { word: Word::True, matched: 1 }),
            b'f' => Ok(State::Literal { word: Word::False, matched: 1 }),
            b'n' => Ok(State::Literal { word: Word::Null, matched: 1 }),
            _ => match Part::first(byte) {
                Some(part) => Ok(State::Number(part)),
                None => space(state, byte, Context::Value),
            },
        }
    }

    fn in_text(&self, byte: u8) -> Result<State, Refusal> {
        match byte {
            b'"' => Ok(self.after_text),
            b'\\' => Ok(State::Escape),
            0..0x20 => Err(Refusal::Syntax(Context::Text)),
            0x20..0x80 => Ok(State::Text),
            0x80.. => Tail::of(byte).map(State::Letter).ok_or(Refusal::Utf8),
        }
    }

    fn in_literal(&self, word: Word, matched: u8, byte: u8) -> Result<State, Refusal> {
        match word.rest(matched) {
            [expected, ..] if *expected != byte => {
                Err(Refusal::Syntax(Context::Literal { word, matched }))
            }
            [_, _, ..] => Ok(State::Literal { word, matched: matched.saturating_add(1) }),
            [_] | [] => Ok(self.after_value()),
        }
    }

    const fn open_text(&mut self, after: State) -> State {
        self.after_text = after;
        State::Text
    }

    fn open(&mut self, is_object: bool, inside: State) -> Result<State, Refusal> {
        if self.nesting.depth() >= self.limits.max_depth {
            return Err(Refusal::TooDeep);
        }
        self.nesting.push(is_object);
        Ok(inside)
    }

    fn close(&mut self) -> State {
        self.nesting.pop();
        self.after_value()
    }

    /// What may follow a value here.
    const fn after_value(&self) -> State {
        match self.nesting.in_object() {
            None => State::Complete,
            Some(true) => State::AfterMember,
            Some(false) => State::AfterElement,
        }
    }

    /// Back to before a value; the nesting is empty already.
    const fn reset(&mut self) {
        self.seen = 0;
        self.state = State::Value;
    }
}

fn in_escape(byte: u8) -> Result<State, Refusal> {
    match byte {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(State::Text),
        b'u' => Ok(State::Hex { left: 4 }),
        _ => Err(Refusal::Syntax(Context::Escape)),
    }
}

fn in_hex(left: u8, byte: u8) -> Result<State, Refusal> {
    match left.saturating_sub(1) {
        _ if !byte.is_ascii_hexdigit() => Err(Refusal::Syntax(Context::Hex)),
        0 => Ok(State::Text),
        left => Ok(State::Hex { left }),
    }
}

/// White space changes nothing; anything else is refused.
fn space(state: State, byte: u8, context: Context) -> Result<State, Refusal> {
    if is_space(byte) { Ok(state) } else { Err(Refusal::Syntax(context)) }
}

/// Checks that `buf` is one value with nothing but white space around it, and says where it is.
///
/// # Errors
///
/// When it is not, or the value is over a limit.
pub(crate) fn whole(buf: &[u8], limits: ScanLimits) -> Result<Range<usize>, ScanError> {
    let range = Scanner::new(limits).finish(buf)?.ok_or(ScanError::UnexpectedEnd)?;
    let behind = buf.get(range.end..).unwrap_or_default();
    match behind.iter().find(|byte| !is_space(**byte)) {
        None => Ok(range),
        Some(&byte) => Err(ScanError::Syntax { byte, context: Context::AfterTopLevel }),
    }
}

/// What was read last, and so what may come next.
///
/// Between two tokens stands the state there:
///
/// ```text
///   [ FirstElement value AfterElement , Value value AfterElement … ]
///   { FirstKey text Colon : Value value AfterMember , Key text Colon … }
///   " Text \ Escape n Text \ Escape u Hex 00e9 Text é Text … "      Letter: within the é
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must begin.
    Value,
    /// After `[`: a value or the end.
    FirstElement,
    /// After `{`: a key or the end.
    FirstKey,
    /// After `,` in an object: a key.
    Key,
    /// After a key.
    Colon,
    /// After a value in an object.
    AfterMember,
    /// After a value in an array.
    AfterElement,
    /// In a string, between two letters.
    Text,
    /// After a backslash.
    Escape,
    /// After `\u`, with so many of its four digits to come.
    Hex {
        /// 4 to 1.
        left: u8,
    },
    /// In a letter of more than one byte.
    Letter(Tail),
    /// In `true`, `false` or `null`.
    Literal {
        /// Which of them.
        word: Word,
        /// Letters of it that were there.
        matched: u8,
    },
    /// In a number.
    Number(Part),
    /// Behind the number, at a byte that is not part of it.
    NumberEnd,
    /// The value at top level has ended.
    Complete,
}

/// Why a byte is refused, small enough to be handed on for each.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Syntax(Context),
    Utf8,
    TooDeep,
}

fn count_space(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len())
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
