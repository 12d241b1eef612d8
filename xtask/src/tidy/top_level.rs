//! The first screen of the repository shows what it is, and nothing else.

use std::collections::BTreeSet;

use crate::tidy::tree::{Finding, Tree};

/// Exactly the agreed entries are at the top; dot files do not show.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let there: BTreeSet<&str> =
        tree.tracked().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let visible = there.iter().filter(|entry| !entry.starts_with('.'));
    let surplus = visible.filter(|entry| !ENTRIES.contains(entry)).map(|entry| {
        let text = "does not belong at the top; configuration goes into a dot file, text below \
                    crates/ or tutorial/book/, tools below xtask/";
        Finding::new(entry, 1, text)
    });
    let missing = ENTRIES
        .iter()
        .filter(|entry| !there.contains(*entry))
        .map(|entry| Finding::new(entry, 1, "missing at the top, or not yet added to git"));
    surplus.chain(missing).collect()
}

const ENTRIES: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "crates",
    "tutorial",
    "examples",
    "xtask",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    const RIGHT: [(&str, &str); 10] = [
        (".gitignore", ""),
        ("Cargo.toml", ""),
        ("Cargo.lock", ""),
        ("README.md", ""),
        ("LICENSE-APACHE", ""),
        ("LICENSE-MIT", ""),
        ("crates/a/Cargo.toml", ""),
        ("tutorial/Cargo.toml", ""),
        ("examples/Cargo.toml", ""),
        ("xtask/Cargo.toml", ""),
    ];

    #[test]
    fn the_agreed_entries_are_fine_whatever_else_lies_around() {
        assert_eq!(check(&Tree::of(&RIGHT).with_untracked("notes.txt")), []);
    }

    #[test]
    fn a_further_entry_is_refused() {
        let files = [RIGHT.as_slice(), &[("docs/a.md", "")]].concat();

        assert_eq!(places(&check(&Tree::of(&files))), ["docs:1"]);
    }

    #[test]
    fn a_missing_entry_is_refused() {
        assert_eq!(places(&check(&Tree::of(&RIGHT[..9]))), ["xtask:1"]);
    }
}
