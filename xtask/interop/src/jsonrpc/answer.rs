//! What came of a call, in a form in which both sides' accounts can be compared.

use std::fmt;

use anyhow::{Result, bail};
use rpc::ClientError;
use serde_json::{Value, json, value::RawValue};

/// What came of a call.
#[derive(Clone, PartialEq)]
pub(crate) enum Answer {
    /// The result.
    Result(Value),
    /// The error that the server answered with: code, text, data or null.
    Error(i64, String, Value),
    /// Something went wrong on the way.
    Failure(String),
}

impl Answer {
    /// An error without data.
    pub(crate) fn error(code: i64, message: &str) -> Self {
        Self::Error(code, message.to_owned(), Value::Null)
    }

    /// What the Go client says of a call: an event with one of the members.
    pub(crate) fn of_theirs(event: &Value) -> Self {
        if let Some(error) = event.get("error") {
            let text = error["message"].as_str().unwrap_or_default().to_owned();
            return Self::Error(
                error["code"].as_i64().unwrap_or_default(),
                text,
                error["data"].clone(),
            );
        }
        match event["failure"].as_str() {
            Some(failure) => Self::Failure(failure.to_owned()),
            None => Self::Result(event["result"].clone()),
        }
    }

    /// What our client says of a call.
    pub(crate) fn of_ours(outcome: Result<Box<RawValue>, ClientError>) -> Self {
        let parse = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| json!(raw));
        let error = match outcome {
            Ok(result) => return Self::Result(parse(&result)),
            Err(error) => error,
        };
        match error.rpc_error() {
            None => Self::Failure(error.to_string()),
            Some(theirs) => {
                let data = theirs.data().map_or(Value::Null, parse);
                Self::Error(theirs.code(), theirs.message().to_owned(), data)
            }
        }
    }

    /// The text of a failure on the way.
    ///
    /// # Errors
    ///
    /// When there was none.
    pub(crate) fn failure(self) -> Result<String> {
        match self {
            Self::Failure(text) => Ok(text),
            other => bail!("expected a call that fails on its way, got {other:?}"),
        }
    }
}

/// Short enough for a line, whatever the size of the answer.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(value) => write!(f, "result {}", short(&value.to_string())),
            Self::Error(code, text, data) => {
                write!(f, "error {code} {:?} with data {}", short(text), short(&data.to_string()))
            }
            Self::Failure(text) => write!(f, "failure {:?}", short(text)),
        }
    }
}

/// The beginning of a text, and its length if that is not all.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

const SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_go_client_prints_is_told_apart() {
        let theirs = Answer::of_theirs;

        assert_eq!(theirs(&json!({ "result": null, "ms": 1 })), Answer::Result(Value::Null));
        assert_eq!(theirs(&json!({ "failure": "EOF" })), Answer::Failure("EOF".into()));
        let error = json!({ "error": { "code": -5, "message": "bad", "data": null } });
        assert_eq!(theirs(&error), Answer::error(-5, "bad"));
    }

    #[test]
    fn a_large_answer_is_shown_in_a_line() {
        let shown = format!("{:?}", Answer::Result(json!("é".repeat(1_000))));

        assert!(shown.chars().count() < 400, "{shown}");
        assert!(shown.ends_with("(2002 bytes)"), "{shown}");
    }
}
