//! The README's table of crates cannot drift from the crates.

use std::collections::BTreeSet;

use crate::tidy::tree::{Finding, Tree};

/// The table names exactly the crates there are, and each crate has a README.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in tree.crates() {
        let path = format!("crates/{name}/README.md");
        if tree.text(&path).is_none() {
            let text = "missing; a page with purpose, smallest example, neighbours, limits";
            findings.push(Finding::new(&path, 1, text));
        }
    }
    // That README.md itself is missing is the business of the rule for the top level.
    if let Some(text) = tree.text(README) {
        findings.extend(check_table(tree, text));
    }
    findings
}

fn check_table(tree: &Tree, text: &str) -> Vec<Finding> {
    let Some((header, rows)) = crate_table(text) else {
        let text = "no table of crates; add one with a column `crate`";
        return vec![Finding::new(README, 1, text)];
    };
    let there: BTreeSet<&str> = tree.crates().collect();
    let named: BTreeSet<&str> = rows.iter().map(|(_, name)| *name).collect();
    let unknown = rows.iter().filter(|(_, name)| !there.contains(name)).map(|(line, name)| {
        Finding::new(README, *line, format!("there is no crates/{name}; take the row out"))
    });
    let missing = there.difference(&named).map(|name| {
        Finding::new(README, header, format!("crates/{name} is not in the table; add a row"))
    });
    unknown.chain(missing).collect()
}

/// The line of the header, and line and crate of every row.
fn crate_table(text: &str) -> Option<(usize, Vec<(usize, &str)>)> {
    let lines: Vec<_> = text.lines().collect();
    let (header, column) = lines.iter().enumerate().find_map(|(index, line)| {
        let column = cells(line)?.position(|cell| cell.trim().eq_ignore_ascii_case("crate"))?;
        Some((index, column))
    })?;
    let mut rows = Vec::new();
    // After the header comes the line of dashes.
    for (index, line) in lines.iter().enumerate().skip(header + 2) {
        let Some(mut cells) = cells(line) else { break };
        rows.push((index + 1, name(cells.nth(column).unwrap_or_default())));
    }
    Some((header + 1, rows))
}

fn cells(line: &str) -> Option<impl Iterator<Item = &str>> {
    Some(line.trim().strip_prefix('|')?.trim_end_matches('|').split('|'))
}

/// ``[`rlpx`](crates/rlpx)`` as `rlpx`.
fn name(cell: &str) -> &str {
    let cell = cell.trim();
    let cell = cell.strip_prefix('[').and_then(|link| link.split(']').next()).unwrap_or(cell);
    cell.trim_matches(['`', '*', ' '])
}

const README: &str = "README.md";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_table_that_names_the_crates_is_fine() {
        let readme = "# X\n\n| layer | crate |\n|---|---|\n| 0 | [`enode`](crates/enode) |\n| 1 | `rlpx` |\n\ntext\n";

        assert_eq!(check(&tree(readme)), []);
    }

    #[test]
    fn a_crate_that_is_not_in_the_table_is_refused() {
        let findings = check(&tree("| crate |\n|---|\n| enode |\n"));

        assert_eq!(places(&findings), ["README.md:1"]);
        assert!(findings[0].text.contains("crates/rlpx"), "{findings:?}");
    }

    #[test]
    fn a_row_for_a_crate_that_is_not_there_is_refused() {
        let findings = check(&tree("| crate |\n|---|\n| enode |\n| rlpx |\n| pss |\n"));

        assert_eq!(places(&findings), ["README.md:5"]);
    }

    #[test]
    fn a_readme_without_a_table_and_a_crate_without_a_readme_are_refused() {
        let tree = Tree::of(&[("README.md", "# X\n"), ("crates/enode/Cargo.toml", "")]);

        assert_eq!(places(&check(&tree)), ["crates/enode/README.md:1", "README.md:1"]);
    }

    fn tree(readme: &str) -> Tree {
        Tree::of(&[
            ("README.md", readme),
            ("crates/enode/Cargo.toml", ""),
            ("crates/enode/README.md", "# enode\n"),
            ("crates/rlpx/Cargo.toml", ""),
            ("crates/rlpx/README.md", "# rlpx\n"),
        ])
    }
}
