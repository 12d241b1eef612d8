//! Where the workspace is, what packages it has, and how to call cargo on it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The workspace that this program works on.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
}

/// What `cargo metadata` knows without asking anyone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// A package of this workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Path of the manifest from the root, with `/`.
    pub(crate) manifest: String,
    /// `package.metadata.stack.layer`, where it is given.
    pub(crate) layer: Option<i64>,
    /// Features but `default`.
    pub(crate) features: Vec<String>,
    /// Those of them that are on by default.
    pub(crate) defaults: Vec<String>,
    /// Those that are in a folder of ours; a name and a kind, `normal`, `build` or `dev`.
    pub(crate) ours: Vec<(String, String)>,
    /// Those of ours that only a feature brings in.
    pub(crate) optional: Vec<String>,
    pub(crate) binaries: Vec<String>,
}

impl Workspace {
    /// The one given, or the one this command was started in.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn find(given: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(root) = given {
            let root = root.canonicalize().with_context(|| format!("no {}", root.display()))?;
            if !root.join("Cargo.toml").is_file() {
                bail!("{} has no Cargo.toml; --root takes a workspace", root.display());
            }
            return Ok(Self { root });
        }
        // Set by `cargo run`, so `cargo xtask` works from any folder of the repository.
        if let Some(root) = env::var_os("CARGO_MANIFEST_DIR")
            .as_deref()
            .and_then(|manifest| Path::new(manifest).parent())
            .filter(|root| is_root(root))
        {
            return Ok(Self { root: root.to_owned() });
        }
        let here = env::current_dir()?;
        match here.ancestors().find(|folder| is_root(folder)) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => bail!(
                "{} is in no workspace with a tutorial; change into one or use --root DIR",
                here.display()
            ),
        }
    }

    /// Cargo, the same that runs us, at the root.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command
    }

    /// Packages and target folder.
    ///
    /// # Errors
    ///
    /// When a manifest is wrong; cargo's own words say how.
    pub(crate) fn metadata(&self) -> anyhow::Result<Metadata> {
        let mut command = self.cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]).stdin(Stdio::null());
        let output = command.output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let value: Value = serde_json::from_slice(&output.stdout)?;
        Ok(Metadata::from_json(&value, &self.root))
    }
}

impl Metadata {
    /// The package of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    fn from_json(value: &Value, root: &Path) -> Self {
        let packages =
            array(value, "packages").iter().map(|package| Package::from_json(package, root));
        Self {
            packages: packages.collect(),
            target_directory: PathBuf::from(text(value, "target_directory")),
        }
    }
}

impl Package {
    fn from_json(value: &Value, root: &Path) -> Self {
        let manifest = Path::new(text(value, "manifest_path"));
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest);
        let features = value["features"].as_object().into_iter().flatten();
        let ours = array(value, "dependencies").iter().filter(|dependency| {
            dependency["path"].is_string() // a dependency from a registry has none
        });
        let optional = ours.clone().filter(|dependency| dependency["optional"] == true);
        let name_of = |dependency: &Value| text(dependency, "name").to_owned();
        let binaries = array(value, "targets")
            .iter()
            .filter(|target| array(target, "kind").iter().any(|kind| kind == "bin"));
        Self {
            name: text(value, "name").to_owned(),
            manifest: manifest.to_string_lossy().replace('\\', "/"),
            layer: value["metadata"]["stack"]["layer"].as_i64(),
            features: features.map(|(name, _)| name.clone()).filter(|f| f != "default").collect(),
            defaults: array(&value["features"], "default")
                .iter()
                .filter_map(|feature| feature.as_str().map(str::to_owned))
                .collect(),
            ours: ours
                .map(|dependency| {
                    let kind = dependency["kind"].as_str().unwrap_or("normal");
                    (name_of(dependency), kind.to_owned())
                })
                .collect(),
            optional: optional.map(name_of).collect(),
            binaries: binaries.map(|target| text(target, "name").to_owned()).collect(),
        }
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("tutorial").is_dir()
}

fn array<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_is_read_with_its_layer_and_its_arrows() {
        let value = json!({
            "target_directory": "/r/target",
            "packages": [{
                "name": "rlpx",
                "manifest_path": "/r/crates/rlpx/Cargo.toml",
                "metadata": {"stack": {"layer": 1}},
                "features": {"default": ["quick"], "legacy": [], "quick": ["dep:pace"]},
                "dependencies": [
                    {"name": "enode", "path": "/r/crates/enode", "kind": null},
                    {"name": "pace", "path": "/r/crates/pace", "kind": null, "optional": true},
                    {"name": "enode", "path": "/r/crates/enode", "kind": "dev"},
                    {"name": "bytes", "kind": null},
                ],
                "targets": [{"name": "rlpx", "kind": ["lib"]}, {"name": "peek", "kind": ["bin"]}],
            }],
        });

        let metadata = Metadata::from_json(&value, Path::new("/r"));

        let expected = Package {
            name: "rlpx".into(),
            manifest: "crates/rlpx/Cargo.toml".into(),
            layer: Some(1),
            features: vec!["legacy".into(), "quick".into()],
            defaults: vec!["quick".into()],
            ours: vec![
                ("enode".into(), "normal".into()),
                ("pace".into(), "normal".into()),
                ("enode".into(), "dev".into()),
            ],
            optional: vec!["pace".into()],
            binaries: vec!["peek".into()],
        };
        assert_eq!(metadata.packages, [expected]);
        assert_eq!(metadata.target_directory, Path::new("/r/target"));
    }
}
