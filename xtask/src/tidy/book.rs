//! The book shows code that compiles and output that was printed, never what somebody typed.
//!
//! Every fenced block is made of includes, but for the kinds in [`MAY_BE_TYPED`]: commands that
//! the reader types, drawings, and bytes with their names. What is included exists, and its
//! anchor does, too; mdbook itself would leave a hole in the page and say nothing.

use std::collections::BTreeSet;

use crate::tidy::tree::{Finding, Tree};

/// Includes, anchors and links of the book.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".md").filter(|(path, _)| path.starts_with(PAGES)) {
        findings.extend(typed_blocks(path, text));
        findings.extend(includes(tree, path, text));
        findings.extend(dead_links(tree, path, text));
    }
    findings.extend(unlisted(tree));
    findings.extend(tree.ending(".rs").flat_map(|(path, text)| unbalanced(path, text)));
    findings
}

/// Lines of fenced blocks that are no include.
fn typed_blocks(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut block: Option<Block<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = Fence::parse(line);
        match (&mut block, fence) {
            (None, Some(fence)) => block = Some(Block { fence, reported: false }),
            (Some(open), Some(fence)) if fence.closes(open.fence) => block = None,
            (Some(open), _) => {
                if open.reported || open.fence.may_be_typed() || is_include(line) {
                    continue;
                }
                open.reported = true; // one finding a block
                let text = format!(
                    "code typed into the page; include it from a file by its anchor, or tag the \
                     block as one of {}",
                    MAY_BE_TYPED.join(", ")
                );
                findings.push(Finding::new(path, index + 1, text));
            }
            (None, None) => {}
        }
    }
    if block.is_some() {
        findings.push(Finding::new(path, text.lines().count(), "a code block that is not closed"));
    }
    findings
}

#[derive(Clone, Copy)]
struct Fence<'a> {
    mark: char,
    length: usize,
    tag: &'a str,
}

struct Block<'a> {
    fence: Fence<'a>,
    reported: bool,
}

impl<'a> Fence<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_start_matches(['>', ' ', '\t']);
        let mark = line.chars().next().filter(|c| *c == '`' || *c == '~')?;
        let length = line.chars().take_while(|c| *c == mark).count();
        (length >= 3).then(|| Self { mark, length, tag: line[length..].trim() })
    }

    fn closes(self, open: Self) -> bool {
        self.mark == open.mark && self.length >= open.length && self.tag.is_empty()
    }

    fn may_be_typed(self) -> bool {
        let kind = self.tag.split([',', ' ']).next().unwrap_or_default();
        MAY_BE_TYPED.contains(&kind)
    }
}

/// A line of a block that is nothing but an include, or nothing.
fn is_include(line: &str) -> bool {
    let line = line.trim_start_matches('>').trim();
    line.is_empty()
        || INCLUDES.iter().any(|start| line.starts_with(start))
            && line.find("}}") == Some(line.len() - 2)
}

/// Includes of files or anchors that are not there.
fn includes(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for target in targets(line) {
            let (file, anchor) = target.split_once(':').unwrap_or((target, ""));
            let file = resolve(path, file.trim());
            let problem = match tree.text(&file) {
                None => Some(format!("include of {file}, which is not there")),
                Some(included) => wrong_anchor(&file, included, anchor.trim()),
            };
            findings.extend(problem.map(|problem| Finding::new(path, index + 1, problem)));
        }
    }
    findings
}

/// What an include on this line points at.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    INCLUDES.into_iter().flat_map(move |start| {
        line.match_indices(start).filter_map(move |(at, _)| {
            let escaped = line[..at].ends_with('\\');
            let inner = line[at + start.len()..].split_once("}}")?.0.trim();
            (!escaped).then_some(inner)
        })
    })
}

fn wrong_anchor(file: &str, text: &str, anchor: &str) -> Option<String> {
    if anchor.is_empty() {
        return None;
    }
    if anchor.starts_with(|c: char| c.is_ascii_digit() || c == ':') {
        return Some(format!("include of {file} by line numbers, which drift; name an ANCHOR"));
    }
    let exists = text.lines().any(|line| marked(line, "ANCHOR:") == Some(anchor));
    (!exists).then(|| format!("no `ANCHOR: {anchor}` in {file}; add it, or name another"))
}

/// Anchors that open and do not close, or close and did not open, or open twice.
fn unbalanced(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Vec<(&str, usize)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if !line.trim_start().starts_with("//") {
            continue; // in code or a string, as in this very file
        }
        if let Some(name) = marked(line, "ANCHOR:") {
            if !seen.insert(name) {
                findings.push(Finding::new(
                    path,
                    number,
                    format!("a second ANCHOR {name}; rename it"),
                ));
            }
            open.push((name, number));
        } else if let Some(name) = marked(line, "ANCHOR_END:") {
            match open.iter().position(|(other, _)| *other == name) {
                Some(at) => drop(open.remove(at)),
                None => {
                    let text = format!("ANCHOR_END {name} without ANCHOR: {name} before it");
                    findings.push(Finding::new(path, number, text));
                }
            }
        }
    }
    findings.extend(open.into_iter().map(|(name, number)| {
        Finding::new(path, number, format!("ANCHOR {name} without ANCHOR_END: {name} after it"))
    }));
    findings
}

/// The name after a mark.
fn marked<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let name = line.split_once(mark)?.1.trim_start();
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    Some(&name[..end.unwrap_or(name.len())]).filter(|name| !name.is_empty())
}

/// Links to pages that are not there.
fn dead_links(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains(':');
            if elsewhere || !target.ends_with(".md") || tree.text(&resolve(path, target)).is_some()
            {
                continue;
            }
            let text = format!("link to {}, which is not there", resolve(path, target));
            findings.push(Finding::new(path, index + 1, text));
        }
    }
    findings
}

/// Pages that the table of contents does not name, which mdbook leaves out in silence.
fn unlisted(tree: &Tree) -> Vec<Finding> {
    let Some(summary) = tree.text(SUMMARY) else { return Vec::new() };
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let listed: BTreeSet<_> = links.map(|link| resolve(SUMMARY, link)).collect();
    let pages = tree.paths().filter(|path| path.starts_with(PAGES) && path.ends_with(".md"));
    let lost = pages.filter(|path| *path != SUMMARY && !listed.contains(*path));
    lost.map(|path| Finding::new(path, 1, "no reader finds this page; add it to SUMMARY.md"))
        .collect()
}

/// A path beside another one, without `..`.
fn resolve(from: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

const PAGES: &str = "tutorial/book/src/";
const SUMMARY: &str = "tutorial/book/src/SUMMARY.md";

const INCLUDES: [&str; 2] = ["{{#include ", "{{#rustdoc_include "];

/// Commands for the reader, drawings, bytes on the wire.
const MAY_BE_TYPED: [&str; 3] = ["console", "diagram", "wire"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn includes_commands_drawings_and_bytes_are_fine() {
        let page = "\
# A1

```rust,ignore
{{#include ../../src/bin/a1_server.rs:start}}

{{#include ../../src/bin/a1_server.rs:stop}}
```

```text
{{#include ../../expected/a1_server.txt}}
```

```console
cargo run
```

```diagram
a --> b
```

~~~wire
86 foobar
~~~

As \\{{#include x}} does; see [A1](a1.md#a1) and [the site](https://x.org/y.md).
";
        assert_eq!(check(&book(page)), []);
    }

    #[test]
    fn code_typed_into_a_page_is_refused_once_a_block() {
        for tag in ["rust", "text", "", "json", "rust,no_run"] {
            let page = format!("# A1\n\n```{tag}\nlet a = 1;\nlet b = 2;\n```\n");

            assert_eq!(places(&check(&book(&page))), ["tutorial/book/src/a1.md:4"], "{tag}");
        }
        let beside = "```rust\n{{#include ../../expected/a1_server.txt}} and more\n```\n";
        assert_eq!(places(&check(&book(beside))), ["tutorial/book/src/a1.md:2"]);
    }

    #[test]
    fn a_block_that_is_not_closed_is_refused() {
        let page = "```console\ncargo run\n";

        assert_eq!(places(&check(&book(page))), ["tutorial/book/src/a1.md:2"]);
    }

    #[test]
    fn an_include_of_a_file_or_anchor_that_is_not_there_is_refused() {
        for target in [
            "../../src/bin/a2_connect.rs",
            "../../src/bin/a1_server.rs:begin",
            "../../src/bin/a1_server.rs:sta",
            "../../src/bin/a1_server.rs:3:5",
        ] {
            let page = format!("```rust\n{{{{#include {target}}}}}\n```\n");

            assert_eq!(places(&check(&book(&page))), ["tutorial/book/src/a1.md:2"], "{target}");
        }
    }

    #[test]
    fn anchors_that_do_not_pair_are_refused() {
        for (text, line) in [
            ("// ANCHOR: a\n", 1),
            ("// ANCHOR_END: a\n", 1),
            ("// ANCHOR: a\n// ANCHOR_END: a\n// ANCHOR: a\n// ANCHOR_END: a\n", 3),
            ("// ANCHOR: a\n// ANCHOR: b\n// ANCHOR_END: b\n", 1),
        ] {
            let tree = Tree::of(&[("tutorial/src/x.rs", text)]);

            assert_eq!(places(&check(&tree)), [format!("tutorial/src/x.rs:{line}")], "{text}");
        }
    }

    #[test]
    fn links_to_nowhere_and_pages_nobody_finds_are_refused() {
        let tree = Tree::of(&[
            ("tutorial/book/src/SUMMARY.md", "- [A1](a1.md)\n- [A2](./a2.md)\n"),
            ("tutorial/book/src/a1.md", "see [B](b/b1.md#x)\n"),
            ("tutorial/book/src/lost.md", "hello\n"),
        ]);

        let expected = [
            "tutorial/book/src/SUMMARY.md:2",
            "tutorial/book/src/a1.md:1",
            "tutorial/book/src/lost.md:1",
        ];
        assert_eq!(places(&check(&tree)), expected);
    }

    fn book(page: &str) -> Tree {
        let program = "//! A1\n// ANCHOR: start\n// ANCHOR_END: start\n// ANCHOR: stop\n// ANCHOR_END: stop\n";
        Tree::of(&[
            ("tutorial/book/src/SUMMARY.md", "- [A1](a1.md)\n"),
            ("tutorial/book/src/a1.md", page),
            ("tutorial/src/bin/a1_server.rs", program),
            ("tutorial/expected/a1_server.txt", "INFO server started\n"),
        ])
    }
}
