//! Rust alone builds the workspace: no C compiler, no linker surprises on a fresh machine.

use crate::tidy::tree::{Finding, Tree};

/// Nothing needs the crate `cc`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let drawing: Vec<_> = tree.c_code.lines().map(str::trim_end).collect();
    if drawing.iter().all(|line| line.is_empty()) {
        return Vec::new();
    }
    // The second line of an inverted tree is the crate that compiles C.
    let by = drawing
        .get(1)
        .map_or("a dependency", |line| line.trim_start_matches(|c: char| !c.is_alphanumeric()));
    let text = format!(
        "{by} compiles C code; switch off the feature that needs it or use another crate \
         (`cargo tree --workspace --invert cc` shows who asks for it)"
    );
    vec![Finding::new("Cargo.toml", 1, text)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_compiles_c_is_named() {
        let mut tree = Tree::of(&[]);
        tree.c_code = "cc v1.2.0\n└── ring v0.17.0\n    └── a v0.1.0\n".to_owned();

        let findings = check(&tree);

        assert_eq!(findings.len(), 1);
        assert!(findings[0].text.starts_with("ring v0.17.0 compiles C"), "{findings:?}");
        assert_eq!(check(&Tree::default()), []);
    }
}
