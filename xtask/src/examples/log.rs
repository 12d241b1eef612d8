//! The JSON log of a chapter, and the questions that a MUST row asks of it.
//!
//! A chapter started with `--log json` prints one flat JSON object a line on stdout. A check
//! picks lines by message and node, looks at their fields, and compares them with fields of
//! other lines:
//!
//! ```text
//!   log.said("after add").only()?              the one line with that message
//!      .list("node one peers")?                a field of it
//!   log.said("received ping").by("two")        lines of one node, in order
//!   line.equals("peer", &id_of_two)?           expected and got, if it does not hold
//! ```

use serde_json::{Map, Value};

/// Why a row does not hold, for someone who has to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// Nothing, or why not.
pub(crate) type Check<T = ()> = Result<T, Mismatch>;

/// What a chapter said, in order.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    lines: Vec<Line>,
}

/// One line of it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Counted from 1, as editors do.
    number: usize,
    members: Map<String, Value>,
}

/// The lines that a check has picked.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    /// What was asked for, for the message when it is not there.
    wanted: String,
    lines: Vec<&'a Line>,
    log: &'a Log,
}

impl Log {
    /// Reads the log; every line must keep to the contract that chapters and checker share.
    ///
    /// # Errors
    ///
    /// The first line that is no JSON object with `level` and `message`, or that nothing
    /// carries the mark `"demolog": "*"`.
    pub(crate) fn parse(text: &str) -> Check<Self> {
        let mut lines = Vec::new();
        for (index, raw) in text.lines().enumerate() {
            lines.push(Line::parse(index + 1, raw)?);
        }
        // Libraries may warn in the same stream; only the chapter's own lines carry the mark.
        lines.retain(|line| line.members.get("demolog").is_some_and(|mark| mark == "*"));
        if lines.is_empty() {
            return mismatch(
                "JSON lines with \"demolog\": \"*\" on stdout",
                format!("{} lines, none of them marked so", text.lines().count()),
            );
        }
        Ok(Self { lines })
    }

    /// The lines with this message.
    pub(crate) fn said(&self, message: &str) -> Said<'_> {
        self.any_of(&[message])
    }

    /// The lines with one of these messages.
    pub(crate) fn any_of(&self, messages: &[&str]) -> Said<'_> {
        let wanted: Vec<_> = messages.iter().map(|message| format!("`{message}`")).collect();
        let lines = self.lines.iter().filter(|line| messages.contains(&line.message()));
        Said { wanted: wanted.join(" or "), lines: lines.collect(), log: self }
    }

    fn messages(&self) -> String {
        let mut seen: Vec<&str> = Vec::new();
        for line in &self.lines {
            if !seen.contains(&line.message()) {
                seen.push(line.message());
            }
        }
        format!("`{}`", seen.join("`, `"))
    }
}

impl<'a> Said<'a> {
    /// Those of one node.
    pub(crate) fn by(self, node: &str) -> Self {
        self.with("node", &Value::from(node))
    }

    /// Those with this value in a field.
    pub(crate) fn with(mut self, field: &str, value: &Value) -> Self {
        self.lines.retain(|line| line.members.get(field) == Some(value));
        self.wanted = format!("{} with {field}={value}", self.wanted);
        self
    }

    /// Those before this line.
    pub(crate) fn before(mut self, line: &Line) -> Self {
        self.lines.retain(|candidate| candidate.number < line.number);
        self.wanted = format!("{} before line {}", self.wanted, line.number);
        self
    }

    /// The one there is.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub(crate) fn only(self) -> Check<&'a Line> {
        Ok(self.exactly(1)?[0])
    }

    /// The first of them.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn first(&self) -> Check<&'a Line> {
        self.lines.first().copied().ok_or_else(|| self.nothing())
    }

    /// The last of them.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn last(&self) -> Check<&'a Line> {
        self.lines.last().copied().ok_or_else(|| self.nothing())
    }

    /// All of them, if they are so many.
    ///
    /// # Errors
    ///
    /// There are more or fewer.
    pub(crate) fn exactly(self, count: usize) -> Check<Vec<&'a Line>> {
        if self.lines.len() == count {
            return Ok(self.lines);
        }
        if self.lines.is_empty() {
            return Err(self.nothing());
        }
        let numbers: Vec<_> = self.lines.iter().map(|line| line.number.to_string()).collect();
        mismatch(
            format!("{} {}", times(count), self.wanted),
            format!("{}: on line {} of the JSON log", times(numbers.len()), numbers.join(", ")),
        )
    }

    /// One field of each, in order.
    ///
    /// # Errors
    ///
    /// One of them lacks the field or has something other than text there.
    pub(crate) fn texts(&self, field: &str) -> Check<Vec<&'a str>> {
        self.lines.iter().map(|line| line.text(field)).collect()
    }

    fn nothing(&self) -> Mismatch {
        let seen = self.log.messages();
        Mismatch { expected: self.wanted.clone(), got: format!("no such line; messages: {seen}") }
    }
}

impl Line {
    /// What the line says.
    pub(crate) fn message(&self) -> &str {
        self.members.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of any type.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub(crate) fn field(&self, name: &str) -> Check<&Value> {
        self.members.get(name).ok_or_else(|| {
            let names: Vec<_> = self.members.keys().map(String::as_str).collect();
            self.wrong(&format!("a field `{name}`"), &format!("the fields {}", names.join(", ")))
        })
    }

    /// A field that is text.
    ///
    /// # Errors
    ///
    /// It is not there, or is something else.
    pub(crate) fn text(&self, name: &str) -> Check<&str> {
        let value = self.field(name)?;
        value.as_str().ok_or_else(|| self.wrong(&format!("text in {name}"), &value.to_string()))
    }

    /// A field that is a list.
    ///
    /// # Errors
    ///
    /// It is not there, or is something else.
    pub(crate) fn list(&self, name: &str) -> Check<&[Value]> {
        let value = self.field(name)?;
        let list = value.as_array().map(Vec::as_slice);
        list.ok_or_else(|| self.wrong(&format!("a list in {name}"), &value.to_string()))
    }

    /// The one entry of a field that is a list.
    ///
    /// # Errors
    ///
    /// It is not there, no list, or has another length.
    pub(crate) fn only_entry(&self, name: &str) -> Check<&Value> {
        match self.list(name)? {
            [entry] => Ok(entry),
            other => {
                let got = format!("{}: {}", other.len(), Value::from(other.to_vec()));
                Err(self.wrong(&format!("exactly one entry in {name}"), &got))
            }
        }
    }

    /// The field has this value.
    ///
    /// # Errors
    ///
    /// It has another, or is not there.
    pub(crate) fn equals(&self, name: &str, expected: &Value) -> Check {
        let got = self.field(name)?;
        self.ensure(got == expected, &format!("{name}={expected}"), &format!("{name}={got}"))
    }

    /// This line is after that one.
    ///
    /// # Errors
    ///
    /// It is before it.
    pub(crate) fn comes_after(&self, earlier: &Self) -> Check {
        self.ensure(
            earlier.number < self.number,
            &format!(
                "`{}` after `{}` (line {})",
                self.message(),
                earlier.message(),
                earlier.number
            ),
            "the other order",
        )
    }

    /// The condition holds; if not, expected and got with this line's number.
    ///
    /// # Errors
    ///
    /// It does not hold.
    pub(crate) fn ensure(&self, holds: bool, expected: &str, got: &str) -> Check {
        if holds { Ok(()) } else { Err(self.wrong(expected, got)) }
    }

    /// A mismatch that names this line.
    pub(crate) fn wrong(&self, expected: &str, got: &str) -> Mismatch {
        let place = format!("`{}`, line {} of the JSON log", self.message(), self.number);
        Mismatch { expected: expected.to_owned(), got: format!("{got} ({place})") }
    }

    fn parse(number: usize, raw: &str) -> Check<Self> {
        let value: Value = match serde_json::from_str(raw) {
            Ok(value) => value,
            Err(error) => return contract(number, &format!("{error}: {raw}")),
        };
        let Value::Object(members) = value else {
            return contract(number, &format!("no object: {raw}"));
        };
        for required in ["level", "message"] {
            if !members.get(required).is_some_and(Value::is_string) {
                return contract(number, &format!("no text in `{required}`: {raw}"));
            }
        }
        Ok(Self { number, members })
    }
}

/// A row that does not hold.
///
/// # Errors
///
/// Always; the result fits where a check ends.
pub(crate) fn mismatch<T>(expected: impl Into<String>, got: impl Into<String>) -> Check<T> {
    Err(Mismatch { expected: expected.into(), got: got.into() })
}

fn contract<T>(number: usize, got: &str) -> Check<T> {
    mismatch(
        "one JSON object a line on stdout, each with `level` and `message`",
        format!("line {number}: {got}"),
    )
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_that_is_no_object_is_refused_with_its_number() {
        let text = "{\"level\":\"INFO\",\"message\":\"a\",\"demolog\":\"*\"}\nhello\n";

        let refusal = Log::parse(text).unwrap_err();

        assert!(refusal.got.starts_with("line 2:"), "{refusal:?}");
    }

    #[test]
    fn an_empty_log_is_refused() {
        assert!(Log::parse("").is_err());
    }

    #[test]
    fn lines_of_libraries_are_not_the_chapters() {
        let log = log(&[json!({"level": "WARN", "message": "a"}), line("a", "one")]);

        assert_eq!(log.said("a").only().unwrap().number, 2);
    }

    #[test]
    fn a_missing_line_says_what_there_was() {
        let log = log(&[line("a", "one"), line("b", "one")]);

        let missing = log.said("c").by("one").only().unwrap_err();

        assert_eq!(missing.expected, "`c` with node=\"one\"");
        assert_eq!(missing.got, "no such line; messages: `a`, `b`");
    }

    #[test]
    fn too_many_lines_are_counted() {
        let log = log(&[line("a", "one"), line("a", "one"), line("a", "two")]);

        assert!(log.said("a").only().is_err());
        assert_eq!(log.said("a").by("one").exactly(2).unwrap().len(), 2);
        assert!(log.said("a").by("two").only().is_ok());
    }

    fn line(message: &str, node: &str) -> Value {
        json!({"level": "INFO", "message": message, "demolog": "*", "node": node})
    }

    fn log(lines: &[Value]) -> Log {
        let text: Vec<_> = lines.iter().map(Value::to_string).collect();
        Log::parse(&text.join("\n")).unwrap()
    }
}
