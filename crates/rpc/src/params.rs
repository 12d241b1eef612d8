//! Arguments: a JSON array, read one by one into the types that a handler takes.
//!
//! ```text
//!   handler  |a: u64, b: Option<u64>|
//!
//!   [1,2]  [1,null]  [1]      run
//!   []     absent    null     missing value for required argument 0
//!   [1,2,3]                   too many arguments, want at most 2
//!   ["x"]                     invalid argument 0: …
//!   {"a":1}                   non-array args
//! ```
//!
//! A parameter may be left out if its type reads JSON's null: an `Option`, or a `Value`.
//!
//! Spec: ethereum/go-ethereum:rpc/json.go, `parsePositionalArguments`.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{RpcError, message};

/// A tuple of arguments. Implemented for tuples of up to eight types that can be deserialized.
pub trait Params: Sized + Send + 'static {
    /// Reads the arguments from the `params` member: a JSON array, or nothing.
    ///
    /// # Errors
    ///
    /// Code −32602 with one of the texts above.
    fn parse(params: Option<&RawValue>) -> Result<Self, RpcError>;

    /// The same after a first argument that has been looked at already, the name of a subscription.
    #[doc(hidden)]
    fn parse_after_name(params: Option<&RawValue>) -> Result<Self, RpcError>;
}

macro_rules! params {
    ($($type:ident),*) => {
        impl<$($type: DeserializeOwned + Send + 'static),*> Params for ($($type,)*) {
            fn parse(params: Option<&RawValue>) -> Result<Self, RpcError> {
                if let Some(all) = read_all(params) {
                    return Ok(all);
                }
                read(params, 0, |_arguments| Ok(($(_arguments.next::<$type>()?,)*)))
            }

            fn parse_after_name(params: Option<&RawValue>) -> Result<Self, RpcError> {
                read(params, 1, |_arguments| Ok(($(_arguments.next::<$type>()?,)*)))
            }
        }
    };
}

params!();
params!(A);
params!(A, B);
params!(A, B, C);
params!(A, B, C, D);
params!(A, B, C, D, E);
params!(A, B, C, D, E, F);
params!(A, B, C, D, E, F, G);
params!(A, B, C, D, E, F, G, H);

/// The first argument of a `<namespace>_subscribe`.
///
/// # Errors
///
/// Code −32602 when there is none or it is no text.
pub(crate) fn subscription_name(params: Option<&RawValue>) -> Result<String, RpcError> {
    let want = || RpcError::invalid_params("expected subscription name as first argument");
    let mut name = None;
    walk(params, |arguments| {
        name = match arguments.element()? {
            Some(first) => message::text(first).map(std::borrow::Cow::into_owned),
            None => None,
        };
        arguments.skip_rest()
    })?;
    name.ok_or_else(want)
}

/// As many arguments as are wanted, and nothing wrong with them: mostly so, and then one walk will do.
/// [`read`] knows what is wrong, and what may be left out.
fn read_all<T: DeserializeOwned>(params: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(params?.get()).ok()
}

fn read<T>(
    params: Option<&RawValue>,
    skip: usize,
    parse: impl FnOnce(&mut Arguments<'_, '_>) -> Result<T, RpcError>,
) -> Result<T, RpcError> {
    let mut parsed = None;
    walk(params, |arguments| {
        for _ in 0..skip {
            arguments.element()?;
        }
        parsed = Some(parse(arguments)?);
        arguments.end()
    })?;
    parsed.ok_or_else(|| RpcError::invalid_params("non-array args"))
}

/// Walks over a JSON array without building it: its length is the caller's affair, not ours.
fn walk(
    params: Option<&RawValue>,
    parse: impl FnOnce(&mut Arguments<'_, '_>) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    let text = params.map_or("[]", RawValue::get);
    if !text.starts_with('[') {
        return Err(RpcError::invalid_params("non-array args"));
    }
    let mut outcome = Ok(());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = deserializer.deserialize_seq(Walk { parse, outcome: &mut outcome });
    match (outcome, walked) {
        (Err(error), _) => Err(error),
        (Ok(()), Ok(())) => Ok(()),
        (Ok(()), Err(error)) => Err(RpcError::invalid_params(error.to_string())),
    }
}

struct Walk<'o, F> {
    parse: F,
    outcome: &'o mut Result<(), RpcError>,
}

impl<'de, F> Visitor<'de> for Walk<'_, F>
where
    F: FnOnce(&mut Arguments<'_, 'de>) -> Result<(), RpcError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut next = || seq.next_element::<&'de RawValue>().map_err(|error| error.to_string());
        *self.outcome = (self.parse)(&mut Arguments { next: &mut next, index: 0 });
        if self.outcome.is_err() {
            // Stops the deserializer, which would want to see the end of the array.
            return Err(A::Error::custom("arguments"));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// What is left of an array of arguments.
struct Arguments<'n, 'de> {
    next: &'n mut dyn FnMut() -> Result<Option<&'de RawValue>, String>,
    index: usize,
}

impl<'de> Arguments<'_, 'de> {
    fn element(&mut self) -> Result<Option<&'de RawValue>, RpcError> {
        let element = (self.next)().map_err(RpcError::invalid_params)?;
        self.index = self.index.saturating_add(1);
        Ok(element)
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<T, RpcError> {
        let index = self.index;
        let missing = || {
            let text = format!("missing value for required argument {index}");
            RpcError::invalid_params(text)
        };
        let Some(element) = self.element()? else {
            return serde_json::from_str(NULL).map_err(|_| missing());
        };
        serde_json::from_str(element.get()).map_err(|error| match element.get() {
            NULL => missing(),
            _ => RpcError::invalid_params(format!("invalid argument {index}: {}", cause(&error))),
        })
    }

    fn end(&mut self) -> Result<(), RpcError> {
        let most = self.index;
        match self.element()? {
            None => Ok(()),
            Some(_) => {
                let text = format!("too many arguments, want at most {most}");
                Err(RpcError::invalid_params(text))
            }
        }
    }

    fn skip_rest(&mut self) -> Result<(), RpcError> {
        while self.element()?.is_some() {}
        Ok(())
    }
}

/// What is wrong, without the place in an argument that nobody sees on its own.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

const NULL: &str = "null";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parse<P: Params>(params: &str) -> Result<P, String> {
        let raw: Option<&RawValue> = match params {
            "" => None,
            text => Some(serde_json::from_str(text).expect("JSON")),
        };
        P::parse(raw).map_err(|error| {
            assert_eq!(error.code(), -32_602);
            error.message().to_owned()
        })
    }

    #[test]
    fn arguments_are_read_in_order_into_their_types() {
        assert_eq!(parse::<(u64, String)>(r#"[1,"x"]"#), Ok((1, "x".to_owned())));
        assert_eq!(parse::<()>(""), Ok(()));
        assert_eq!(parse::<()>(" [ ] ".trim()), Ok(()));
        assert_eq!(parse::<(Value,)>(r#"[{"a":[1]}]"#), Ok((serde_json::json!({"a": [1]}),)));
    }

    #[test]
    fn trailing_optional_arguments_may_be_left_out_or_null() {
        for params in ["[1]", "[1,null]"] {
            assert_eq!(parse::<(u64, Option<u64>)>(params), Ok((1, None)), "{params}");
        }
        assert_eq!(parse::<(Option<u64>,)>(""), Ok((None,)));
        assert_eq!(parse::<(u64, Option<u64>)>("[1,2]"), Ok((1, Some(2))));
    }

    #[test]
    fn what_is_wrong_with_arguments_is_said_in_the_words_of_go_ethereum() {
        let fault = |outcome: Result<(), String>| outcome.expect_err("wrong arguments");
        let missing = |index| format!("missing value for required argument {index}");
        let many = |most| format!("too many arguments, want at most {most}");

        assert_eq!(fault(parse::<(u64, u64)>("[1]").map(drop)), missing(1));
        assert_eq!(fault(parse::<(u64, u64)>("").map(drop)), missing(0));
        assert_eq!(fault(parse::<(u64,)>("[null]").map(drop)), missing(0));
        assert_eq!(fault(parse::<(Option<u64>, u64)>("[]").map(drop)), missing(1));
        assert_eq!(fault(parse::<(u64, u64)>("[1,2,3]").map(drop)), many(2));
        assert_eq!(fault(parse::<()>("[1]")), many(0));
        for params in [r#"{"x":1}"#, r#""x""#, "5", "true"] {
            assert_eq!(fault(parse::<(u64,)>(params).map(drop)), "non-array args", "{params}");
        }
        assert_eq!(
            fault(parse::<(u64, u64)>(r#"[1,"a"]"#).map(drop)),
            r#"invalid argument 1: invalid type: string "a", expected u64"#
        );
    }

    #[test]
    fn the_first_fault_counts() {
        let error = parse::<(u64,)>(r#"["a",2,3]"#).expect_err("not a number");
        assert!(error.starts_with("invalid argument 0: "), "{error}");
    }

    #[test]
    fn a_subscription_has_its_name_first() {
        let name = |params: &str| {
            let raw: &RawValue = serde_json::from_str(params).expect("JSON");
            subscription_name(Some(raw)).map_err(|error| error.message().to_owned())
        };
        let want = Err("expected subscription name as first argument".to_owned());

        assert_eq!(name(r#"["count",3]"#), Ok("count".to_owned()));
        assert_eq!(name("[]"), want);
        assert_eq!(name("[5]"), want);
        assert_eq!(name("{}"), Err("non-array args".to_owned()));

        let after =
            |params| <(u64,)>::parse_after_name(Some(serde_json::from_str(params).expect("JSON")));
        assert_eq!(after(r#"["count",3]"#), Ok((3,)));
        let error = after(r#"["count"]"#).expect_err("too few");
        assert_eq!(error.message(), "missing value for required argument 1");
        let error = after(r#"["count",1,2]"#).expect_err("too many");
        assert_eq!(error.message(), "too many arguments, want at most 2");
    }

    #[test]
    fn a_million_arguments_cost_no_memory_of_their_number() {
        let params = format!("[{}1]", "1,".repeat(1_000_000));

        let error = parse::<(u64,)>(&params).expect_err("too many");

        assert_eq!(error, "too many arguments, want at most 1");
    }
}
