//! Every chapter has rows that check it and an output that the book shows.

use std::collections::BTreeSet;

use crate::examples::registry;
use crate::tidy::tree::{Finding, Tree};

/// Binaries of the tutorial, files of expected output and registered chapters are the same set.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let binaries = names(tree, BINARIES, ".rs");
    let outputs = names(tree, OUTPUTS, ".txt");
    let known: BTreeSet<_> = registry::all().iter().map(|chapter| chapter.binary).collect();

    let silent = binaries.difference(&outputs).map(|name| {
        let text = format!("missing; `cargo xtask examples {name} --bless` writes it");
        Finding::new(&format!("{OUTPUTS}{name}.txt"), 1, text)
    });
    let unchecked = binaries.iter().filter(|name| !known.contains(*name)).map(|name| {
        let text = "no rows check this chapter; add them in xtask/src/examples/";
        Finding::new(&format!("{BINARIES}{name}.rs"), 1, text)
    });
    let orphans = outputs.iter().filter(|name| !binaries.contains(*name) && !known.contains(*name));
    let orphans = orphans.map(|name| {
        let text = "no chapter prints this; remove it";
        Finding::new(&format!("{OUTPUTS}{name}.txt"), 1, text)
    });
    silent.chain(unchecked).chain(orphans).collect()
}

fn names<'a>(tree: &'a Tree, folder: &str, ending: &str) -> BTreeSet<&'a str> {
    let files = tree.paths().filter_map(|path| path.strip_prefix(folder)?.strip_suffix(ending));
    files.filter(|name| !name.contains('/')).collect()
}

const BINARIES: &str = "tutorial/src/bin/";
const OUTPUTS: &str = "tutorial/expected/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_chapter_with_rows_and_output_is_fine() {
        let tree = Tree::of(&[
            ("tutorial/src/bin/a1_server.rs", ""),
            ("tutorial/expected/a1_server.txt", ""),
            ("tutorial/expected/wiki_2015.txt", ""),
        ]);

        assert_eq!(check(&tree), []);
    }

    #[test]
    fn a_chapter_without_output_or_rows_and_an_output_without_chapter_are_refused() {
        let tree = Tree::of(&[
            ("tutorial/src/bin/a1_server.rs", ""),
            ("tutorial/src/bin/z9_new.rs", ""),
            ("tutorial/expected/z9_new.txt", ""),
            ("tutorial/expected/gone.txt", ""),
        ]);

        let expected = [
            "tutorial/expected/a1_server.txt:1",
            "tutorial/src/bin/z9_new.rs:1",
            "tutorial/expected/gone.txt:1",
        ];
        assert_eq!(places(&check(&tree)), expected);
    }
}
