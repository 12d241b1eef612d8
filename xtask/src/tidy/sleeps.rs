//! No sleep in a chapter, an example or a test: a sleep is a race that has not been lost yet.

use std::collections::BTreeSet;

use crate::tidy::source::has_word;
use crate::tidy::tree::{Finding, Tree};

/// Nothing that readers copy and nothing that tests sleeps, but on paused time with a mark.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let test_files = test_files(tree);
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let whole_file = is_watched(path) || test_files.contains(path);
        for (number, line) in source.lines() {
            let watched = whole_file || source.is_test(number);
            let allowed = source.raw(number - 1).trim() == MARK;
            if watched && !allowed && WORDS.iter().any(|word| has_word(line, word)) {
                let text = format!(
                    "a sleep; wait for the event itself with a deadline, or on paused time put \
                     `{MARK}` on the line before"
                );
                findings.push(Finding::new(path, number, text));
            }
        }
    }
    findings
}

/// Chapters, examples, and whatever is in a `tests` folder.
fn is_watched(path: &str) -> bool {
    path.starts_with("tutorial/")
        || path.starts_with("examples/")
        || path.split('/').rev().skip(1).any(|folder| folder == "tests")
        || path.ends_with("/tests.rs")
}

/// Files of modules that are declared for tests alone.
fn test_files(tree: &Tree) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (path, source) in tree.sources() {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let below = match file {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        let modules = source.test_modules();
        files.extend(modules.iter().map(|module| format!("{below}/{module}.rs")));
    }
    files
}

const WORDS: [&str; 4] = ["sleep(", "sleep_until(", "sleep_ms(", "time::sleep"];

const MARK: &str = "// tidy: paused clock";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_sleep_in_a_chapter_an_example_or_a_test_is_refused() {
        for path in [
            "tutorial/src/bin/a2_connect.rs",
            "examples/src/bin/wiki_2015.rs",
            "crates/a/tests/dialing.rs",
            "crates/a/src/dial/tests.rs",
            "xtask/interop/tests/geth.rs",
        ] {
            for line in [
                "tokio::time::sleep(Duration::from_millis(100)).await;",
                "sleep_until(then).await;",
                "std::thread::sleep(d);",
                "use tokio::time::sleep;",
            ] {
                let tree = Tree::of(&[(path, &format!("//! X.\n{line}\n"))]);

                assert_eq!(places(&check(&tree)), [format!("{path}:2")], "{line}");
            }
        }
    }

    #[test]
    fn a_sleep_in_a_test_module_is_refused_and_beside_it_is_not() {
        let text = "\
//! X.
async fn back_off() { sleep(d).await }
#[cfg(test)]
mod tests {
    async fn f() { sleep(d).await }
}
";
        assert_eq!(
            places(&check(&Tree::of(&[("crates/a/src/x.rs", text)]))),
            ["crates/a/src/x.rs:5"]
        );
    }

    #[test]
    fn a_file_declared_for_tests_alone_is_a_test() {
        let tree = Tree::of(&[
            ("crates/a/src/x.rs", "//! X.\n#[cfg(test)]\nmod slow;\n"),
            ("crates/a/src/x/slow.rs", "//! S.\nfn f() { sleep(d) }\n"),
        ]);

        assert_eq!(places(&check(&tree)), ["crates/a/src/x/slow.rs:2"]);
    }

    #[test]
    fn the_mark_for_paused_time_allows_one_line() {
        let text = "//! X.\n// tidy: paused clock\nsleep(d).await;\nsleep(d).await;\n";

        assert_eq!(
            places(&check(&Tree::of(&[("crates/a/tests/x.rs", text)]))),
            ["crates/a/tests/x.rs:4"]
        );
    }

    #[test]
    fn a_comment_that_says_sleep_is_none() {
        let text = "//! No sleep( here.\nlet a = \"sleep(1)\"; // sleep(1)\n";

        assert_eq!(check(&Tree::of(&[("tutorial/src/lib.rs", text)])), []);
    }
}
