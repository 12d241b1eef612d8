//! Nothing that a peer can fill grows without a bound that somebody wrote down.
//!
//! The mark stands where the queue or map is made, or at the field it is made for:
//!
//! ```text
//!   // bound: max_static, then adding is an error
//!   statics: BTreeMap<NodeId, Static>,               ...   statics: BTreeMap::new(),
//! ```
//!
//! A struct that derives `Default` makes its fields without a line of their own, so there the
//! field is where it must stand.

use std::collections::BTreeSet;

use crate::tidy::source::{Source, has_word};
use crate::tidy::tree::{Finding, Tree};

/// Every queue and map made in a crate has `// bound:` beside it, and none is unbounded.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources().filter(|(path, _)| in_crate_source(path));
    sources.flat_map(|(path, source)| check_file(path, &source)).collect()
}

fn check_file(path: &str, source: &Source<'_>) -> Vec<Finding> {
    let marked = marked_fields(source);
    let derived = fields_of_default(source);
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        let line = without_turbofish(line);
        if let Some(word) = unbounded(&line) {
            let text = format!(
                "`{word}` has no bound; use `mpsc::channel(N)` and say with `{MARK}` what happens \
                 when it is full"
            );
            findings.push(Finding::new(path, number, text));
            continue;
        }
        let in_test =
            source.is_test(number) || path.ends_with("/tests.rs") || path.contains("/tests/");
        let of_marked = field_name(&line).is_some_and(|name| marked.contains(name));
        if in_test || of_marked || is_marked(source, number) {
            continue;
        }
        let declared = || declared(&line).filter(|_| derived.contains(&number)).map(str::to_owned);
        if let Some(what) = grows(&line).or_else(declared) {
            let text = format!(
                "`{what}` without its bound; say here, at most {REACH} lines above, or at the \
                 field: `{MARK} 64 messages, then stop reading the socket`"
            );
            findings.push(Finding::new(path, number, text));
        }
    }
    findings
}

/// Names of fields that are queues or maps and say their bound.
fn marked_fields<'a>(source: &'a Source<'_>) -> BTreeSet<&'a str> {
    let fields = source
        .lines()
        .filter(|(number, line)| declared(line).is_some() && is_marked(source, *number));
    fields.filter_map(|(_, line)| field_name(line)).collect()
}

/// Numbers of the lines within a struct that derives `Default`.
fn fields_of_default(source: &Source<'_>) -> BTreeSet<usize> {
    let mut inside = BTreeSet::new();
    let (mut derives, mut in_struct) = (false, false);
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("#[derive") {
            derives = has_word(line, "Default");
        } else if derives && has_word(line, "struct") {
            in_struct = true;
        }
        if in_struct {
            inside.insert(number);
        }
        if line.starts_with('}') || line.ends_with(';') {
            (derives, in_struct) = (false, false);
        }
    }
    inside
}

/// The field that a line declares or fills: `pub(crate) name: ...`.
fn field_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once(':')?;
    let name = before.trim().rsplit(' ').next()?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name && !after.starts_with(':')).then_some(name)
}

/// The collection that a line names as a type.
fn declared(line: &str) -> Option<&'static str> {
    COLLECTIONS.into_iter().find(|name| has_word(line, name) && line.contains(&format!("{name}<")))
}

fn in_crate_source(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates") && parts.nth(1) == Some("src")
}

/// Whether a bound is said on this line, or above it before the next line that needs its own.
fn is_marked(source: &Source<'_>, number: usize) -> bool {
    if source.raw(number).contains(MARK) {
        return true;
    }
    let above = (number.saturating_sub(REACH)..number).rev();
    let mut own = above.take_while(|near| {
        let line = source.code(*near);
        grows(&without_turbofish(line)).is_none() && declared(line).is_none()
    });
    own.any(|near| source.raw(near).contains(MARK))
}

/// What a line uses that has no bound at all.
fn unbounded(line: &str) -> Option<&'static str> {
    UNBOUNDED.into_iter().find(|word| line.contains(word))
}

/// What a line makes that can grow.
fn grows(line: &str) -> Option<String> {
    if let Some(channel) = CHANNELS.into_iter().find(|channel| line.contains(channel)) {
        return Some(channel.trim_end_matches('(').to_owned());
    }
    let made = |name: &str| {
        let constructors =
            CONSTRUCTORS.into_iter().map(move |constructor| format!("{name}::{constructor}"));
        constructors.into_iter().find(|call| {
            line.match_indices(call.as_str()).any(|(at, _)| {
                // `MyHashMap` is another type, and `new_in` another function.
                let before = line[..at].chars().next_back();
                let after = line[at + call.len()..].chars().next();
                let name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !name(before) && !name(after)
            })
        })
    };
    COLLECTIONS.into_iter().find_map(made)
}

/// `HashMap::<K, V>::new(` as `HashMap::new(`.
fn without_turbofish(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("::<") {
        out.push_str(before);
        let mut depth = 1;
        let end = after.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '<') - i32::from(*c == '>');
            depth == 0
        });
        rest = end.map_or("", |(at, _)| &after[at + 1..]);
    }
    out + rest
}

const MARK: &str = "// bound:";

/// Lines above that a mark may be away: a comment of two lines and the start of the statement.
const REACH: usize = 3;

const UNBOUNDED: [&str; 5] = [
    "unbounded_channel",
    "UnboundedSender",
    "UnboundedReceiver",
    "mpsc::unbounded",
    "mpsc::channel()",
];

const CHANNELS: [&str; 4] =
    ["mpsc::channel(", "mpsc::sync_channel(", "broadcast::channel(", "= channel("];

const COLLECTIONS: [&str; 9] = [
    "VecDeque",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "LinkedList",
    "IndexMap",
    "IndexSet",
];

const CONSTRUCTORS: [&str; 5] =
    ["new", "with_capacity", "with_hasher", "with_capacity_and_hasher", "default"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_queue_or_map_without_its_bound_is_refused() {
        for line in [
            "let (a, b) = mpsc::channel(64);",
            "let (a, b) = tokio::sync::mpsc::channel::<Vec<Frame>>(64);",
            "let (a, b) = broadcast::channel(64);",
            "let (a, b) = channel(64);",
            "peers: HashMap::new(),",
            "peers: std::collections::BTreeMap::<NodeId, Vec<u8>>::new(),",
            "queue: VecDeque::with_capacity(4),",
            "seen: HashSet::default(),",
        ] {
            assert_eq!(places(&findings(line)), ["crates/a/src/lib.rs:5"], "{line}");
        }
    }

    #[test]
    fn a_bound_on_the_line_or_up_to_three_above_is_enough() {
        let line = "peers: HashMap::new(),";
        for text in [
            format!("{line} // bound: max_peers"),
            format!("// bound: max_peers, then refuse with 0x04\n{line}"),
            format!("// bound: max_peers\n// more\nfoo(\n{line}"),
        ] {
            assert_eq!(findings(&text), [], "{text}");
        }
        assert_eq!(findings(&format!("// bound: far\n\n\n\n{line}")).len(), 1);
    }

    #[test]
    fn an_unbounded_queue_is_refused_whatever_is_written_beside_it() {
        for line in [
            "let (a, b) = mpsc::unbounded_channel(); // bound: none",
            "let (a, b) = std::sync::mpsc::channel::<u8>(); // bound: none",
            "sender: UnboundedSender<u8>, // bound: none",
            "#[cfg(test)]\nmod tests { fn f() { unbounded_channel(); } }",
        ] {
            assert_eq!(findings(line).len(), 1, "{line}");
        }
    }

    #[test]
    fn tests_comments_other_types_and_other_folders_are_left_alone() {
        for text in [
            "// a HashMap::new() in words",
            "let x = MyHashMap::new();",
            "let x = Vec::with_capacity(4);",
            "#[cfg(test)]\nmod tests {\n    fn f() { HashMap::new(); }\n}",
        ] {
            assert_eq!(findings(text), [], "{text}");
        }
        let elsewhere = Tree::of(&[
            ("crates/a/tests/x.rs", "HashMap::new()"),
            ("crates/a/src/b/tests/x.rs", "HashMap::new()"),
            ("xtask/src/x.rs", "HashMap::new()"),
        ]);
        assert_eq!(check(&elsewhere), []);
    }

    #[test]
    fn a_bound_at_the_field_holds_where_the_field_is_filled() {
        let text = "\
struct Set {
    // bound: max_peers, then refuse
    peers: HashMap<Id, Peer>,
    seen: HashSet<Id>,
}
fn new() -> Set { Set {
    peers: HashMap::new(),
    seen: HashSet::new(),
} }";

        assert_eq!(places(&findings(text)), ["crates/a/src/lib.rs:12"]);
    }

    #[test]
    fn a_field_that_default_makes_says_its_bound_itself() {
        let text = "\
#[derive(Debug, Default)]
struct Set {
    peers: HashMap<Id, Peer>,
    // bound: max_peers
    seen: HashSet<Id>,
}
#[derive(Debug)]
struct View {
    peers: HashMap<Id, Peer>,
}";

        assert_eq!(places(&findings(text)), ["crates/a/src/lib.rs:7"]);
    }

    fn findings(text: &str) -> Vec<Finding> {
        check(&Tree::of(&[("crates/a/src/lib.rs", &format!("//! A.\n\n\n\n{text}\n"))]))
    }
}
