//! Every arrow of the tower points down.

use crate::tidy::tree::{Finding, Tree};
use crate::workspace::Package;

/// Each crate names its layer and depends on lower ones only, builds and tests included.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let in_tower = |package: &&Package| package.manifest.starts_with("crates/");
    let mut findings = Vec::new();
    for package in tree.packages.iter().filter(in_tower) {
        let Some(layer) = package.layer else {
            let text = "no layer; add [package.metadata.stack] with layer = N, one above the \
                        highest crate it uses";
            findings.push(Finding::new(&package.manifest, 1, text));
            continue;
        };
        for (name, kind) in &package.ours {
            findings.extend(arrow(tree, package, layer, name, kind));
        }
    }
    findings
}

/// What is wrong with one dependency.
fn arrow(tree: &Tree, package: &Package, layer: i64, name: &str, kind: &str) -> Option<Finding> {
    // A crate may depend on itself to test with a feature of its own.
    if *name == package.name {
        return None;
    }
    let below = tree.packages.iter().find(|other| other.name == name).and_then(|other| other.layer);
    if below.is_some_and(|below| below < layer) {
        return None;
    }
    let line = tree.text(&package.manifest).and_then(|manifest| {
        manifest.lines().position(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        })
    });
    let where_to = below.map_or_else(|| "no layer".to_owned(), |below| format!("layer {below}"));
    let text = format!(
        "{} (layer {layer}) has a {kind} dependency on {name} ({where_to}), which is not below \
         it; move what it needs into a lower crate, or the test that needs it into a higher one",
        package.name
    );
    Some(Finding::new(&package.manifest, line.map_or(1, |line| line + 1), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn downward_arrows_are_fine() {
        let tree = tower(&[("enode", Some(0), &[]), ("rlpx", Some(1), &[("enode", "normal")])]);

        assert_eq!(check(&tree), []);
    }

    #[test]
    fn an_upward_dependency_is_refused_in_every_kind() {
        for kind in ["normal", "build", "dev"] {
            let tree = tower(&[("enode", Some(0), &[("rlpx", kind)]), ("rlpx", Some(1), &[])]);

            let findings = check(&tree);

            assert_eq!(places(&findings), ["crates/enode/Cargo.toml:2"], "{kind}");
            assert!(findings[0].text.contains(kind), "{kind}");
        }
    }

    #[test]
    fn a_sideways_dependency_is_refused() {
        let tree = tower(&[("a", Some(1), &[("b", "normal")]), ("b", Some(1), &[])]);

        assert_eq!(places(&check(&tree)), ["crates/a/Cargo.toml:2"]);
    }

    #[test]
    fn a_crate_without_a_layer_is_refused() {
        let tree = tower(&[("a", None, &[])]);

        assert_eq!(places(&check(&tree)), ["crates/a/Cargo.toml:1"]);
    }

    #[test]
    fn what_is_above_all_may_use_all_but_not_be_used() {
        let mut tree = tower(&[("a", Some(0), &[("tutorial", "dev")])]);
        let tutorial = package("tutorial", "tutorial/Cargo.toml", None, &[("a", "normal")]);
        tree.packages.push(tutorial);

        assert_eq!(places(&check(&tree)), ["crates/a/Cargo.toml:2"]);
    }

    #[test]
    fn a_crate_may_test_itself_with_a_feature() {
        let tree = tower(&[("a", Some(0), &[("a", "dev")])]);

        assert_eq!(check(&tree), []);
    }

    fn tower(crates: &[(&str, Option<i64>, &[(&str, &str)])]) -> Tree {
        let manifest = |name: &str| format!("crates/{name}/Cargo.toml");
        let texts: Vec<_> = crates
            .iter()
            .map(|(name, _, ours)| {
                let lines = ours.iter().map(|(name, _)| format!("{name}.workspace = true\n"));
                (manifest(name), format!("[dependencies]\n{}", lines.collect::<String>()))
            })
            .collect();
        let files: Vec<_> =
            texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let mut tree = Tree::of(&files);
        let packages = crates.iter();
        tree.packages = packages
            .map(|(name, layer, ours)| package(name, &manifest(name), *layer, ours))
            .collect();
        tree
    }

    fn package(name: &str, manifest: &str, layer: Option<i64>, ours: &[(&str, &str)]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: manifest.to_owned(),
            layer,
            ours: ours.iter().map(|(n, kind)| ((*n).to_owned(), (*kind).to_owned())).collect(),
            ..Package::default()
        }
    }
}
