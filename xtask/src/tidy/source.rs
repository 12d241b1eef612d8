//! A Rust file as the rules see it: code without comments and strings, and which lines are tests.
//!
//! ```text
//!   raw    let q = channel("a(b"); // bound: 4
//!   code   let q = channel("   ");
//! ```
//!
//! This is a lexer, no parser: it knows where comments, strings and characters end, and finds
//! the end of an item by counting braces. That is enough to look for words without being fooled
//! by a comment that speaks of them.

/// A Rust file.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    raw: Vec<&'a str>,
    code: Vec<String>,
    in_test: Vec<bool>,
}

impl<'a> Source<'a> {
    /// Reads a file.
    pub(crate) fn parse(text: &'a str) -> Self {
        let code = blank(text);
        let in_test = test_lines(&code);
        Self {
            raw: text.lines().collect(),
            code: code.lines().map(str::to_owned).collect(),
            in_test,
        }
    }

    /// Number (from 1) and code of every line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }

    /// The same without what only tests compile.
    pub(crate) fn lines_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(number, _)| !self.is_test(*number))
    }

    /// Whether only tests compile this line.
    pub(crate) fn is_test(&self, number: usize) -> bool {
        self.in_test.get(number - 1).copied().unwrap_or_default()
    }

    /// The line as it is written, or nothing beyond the ends.
    pub(crate) fn raw(&self, number: usize) -> &'a str {
        number.checked_sub(1).and_then(|index| self.raw.get(index)).copied().unwrap_or_default()
    }

    /// The line without comments and strings, or nothing beyond the ends.
    pub(crate) fn code(&self, number: usize) -> &str {
        let index = number.checked_sub(1);
        index.and_then(|index| self.code.get(index)).map_or("", String::as_str)
    }

    /// Names of modules that are declared here for tests alone: `#[cfg(test)] mod name;`
    pub(crate) fn test_modules(&self) -> Vec<&str> {
        let declared = self.lines().filter(|(number, _)| self.is_test(*number));
        declared
            .filter_map(|(_, line)| line.trim().strip_prefix("mod ")?.strip_suffix(';'))
            .collect()
    }
}

/// Whether a word of code is in a line: what is around it is no part of a name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open_start = !word.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let open_end = !word.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        (open_start || !name(before)) && (open_end || !name(after))
    })
}

/// The same text with comments and the contents of strings turned into spaces.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_before = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (length, keep) = token(rest, word_before);
        let (taken, after) = rest.split_at(length.max(first.len_utf8()).min(rest.len()));
        if keep {
            out.push_str(taken);
        } else {
            out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    out
}

/// The length of what begins here, and whether it is code.
fn token(rest: &str, word_before: bool) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if rest.starts_with('"') {
        return (quoted(rest), false);
    }
    if rest.starts_with('\'') {
        return character(rest).map_or((1, true), |length| (length, false));
    }
    if !word_before && let Some(length) = raw_string(rest) {
        return (length, false);
    }
    (1, true)
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn character(rest: &str) -> Option<usize> {
    let inner = &rest[1..];
    if let Some(escape) = inner.strip_prefix('\\') {
        let skip = escape.chars().next()?.len_utf8();
        return escape[skip..].find('\'').map(|end| 1 + 1 + skip + end + 1);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(1 + length + 1)
}

/// `r"…"`, `r#"…"#`, and with `b` or `c` before.
fn raw_string(rest: &str) -> Option<usize> {
    let start = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?.len();
    let hashes = rest[start..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[start + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(start + hashes + 1 + length)
}

/// Which lines belong to an item under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = vec![false; code.lines().count()];
    let mut from = 0;
    while let Some(found) = code[from..].find(TEST_MARK) {
        let start = from + found;
        let end = end_of_item(code, start + TEST_MARK.len());
        let first = code[..start].matches('\n').count();
        let last = code[..end].matches('\n').count();
        lines.iter_mut().take(last + 1).skip(first).for_each(|line| *line = true);
        from = end;
    }
    lines
}

/// Where the item that begins here ends: at its closing brace, or its semicolon if it has none.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0usize;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return start + at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

const TEST_MARK: &str = "#[cfg(test)]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        for (text, expected) in [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"a\\\"b\") g", "f(      ) g"),
            ("f('\"') g", "f(   ) g"),
            ("f('\\'') g", "f(    ) g"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#\"a\"b\"# c", "         c"),
            ("br\"a\" c", "      c"),
            ("for\"a\"", "for   "),
            ("a /* b\nc */ d", "a     \n     d"),
            ("\"é\" x", "    x"),
        ] {
            assert_eq!(blank(text), expected, "{text}");
        }
    }

    #[test]
    fn an_item_for_tests_ends_with_its_brace() {
        let text = "\
fn a() {}
#[cfg(test)]
mod tests {
    fn b() { if x {} }
}
fn c() {}
#[cfg(test)]
mod more;
fn d() {}
";
        let source = Source::parse(text);

        let outside: Vec<_> = source.lines_outside_tests().map(|(number, _)| number).collect();
        assert_eq!(outside, [1, 6, 9]);
        assert_eq!(source.test_modules(), ["more"]);
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        assert!(has_word("use tokio::net;", "tokio"));
        assert!(!has_word("use tokio_util::x;", "tokio"));
        assert!(has_word("std::fs::read()", "std::fs"));
        assert!(!has_word("my_rng()", "rng()"));
        assert!(has_word("rand::rng()", "rng()"));
    }
}
