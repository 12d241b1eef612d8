//! Every file says first what problem it solves.

use crate::tidy::tree::{Finding, Tree};

/// Each Rust file begins with `//!`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let silent = tree.ending(".rs").filter(|(_, text)| {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        first.trim().strip_prefix("//!").is_none_or(|words| words.trim().is_empty())
    });
    let text = "no module comment; begin with `//!` and say which problem this file solves";
    silent.map(|(path, _)| Finding::new(path, 1, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_file_without_a_module_comment_is_refused() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "//! Counts.\nfn f() {}\n"),
            ("crates/a/src/none.rs", "fn f() {}\n"),
            ("crates/a/src/late.rs", "use x;\n//! Late.\n"),
            ("crates/a/src/empty.rs", ""),
            ("crates/a/src/blank.rs", "//!\n//!\n"),
            ("crates/a/src/outer.rs", "/// Of the function.\nfn f() {}\n"),
            ("crates/a/README.md", "no Rust"),
        ]);

        let expected = ["blank.rs:1", "empty.rs:1", "late.rs:1", "none.rs:1", "outer.rs:1"];
        assert_eq!(places(&check(&tree)), expected.map(|name| format!("crates/a/src/{name}")));
    }
}
