//! No file names a place that exists on one machine only.

use crate::tidy::tree::{Finding, Tree};

/// Nothing below somebody's home folder is mentioned in a file that git knows.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.tracked() {
        for (index, line) in tree.text(path).unwrap_or_default().lines().enumerate() {
            if let Some(start) = STARTS.into_iter().find(|start| names(line, start)) {
                let text = format!(
                    "a path of one machine (`{start}`); make it relative, or a placeholder"
                );
                findings.push(Finding::new(path, index + 1, text));
            }
        }
    }
    findings
}

/// Whether a path begins with this here; in the middle of a longer one it means nothing.
fn names(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + start.len()..].chars().next();
        let path = |c: char| c.is_alphanumeric() || "._-/~)]}>*".contains(c);
        !before.is_some_and(path)
            && after.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
    })
}

/// In halves, so that this file does not name them.
const STARTS: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers\\"),
    concat!("C:/Us", "ers/"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_path_of_one_machine_is_refused() {
        for start in STARTS {
            let tree = Tree::of(&[("a.md", &format!("see\n(in {start}me/x)\n"))]);

            assert_eq!(places(&check(&tree)), ["a.md:2"], "{start}");
        }
    }

    #[test]
    fn the_same_letters_within_a_longer_path_are_fine() {
        let [home, _, work, ..] = STARTS;
        for line in [format!("https://x.org{work}a"), format!("frame{work}a"), format!("~{home}a")]
        {
            assert_eq!(check(&Tree::of(&[("a.md", &line)])), [], "{line}");
        }
    }
}
