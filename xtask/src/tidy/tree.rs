//! What the rules look at: the files of the repository and what cargo says about its packages.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::tidy::source::Source;
use crate::workspace::{Package, Workspace};

/// The repository, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
    pub(crate) packages: Vec<Package>,
    /// Crates that pull in a C compiler, as `cargo tree` draws them; empty is good.
    pub(crate) c_code: String,
}

#[derive(Clone, Debug)]
struct File {
    text: String,
    /// Git knows it; what is merely lying around is checked, too, but may lie there.
    tracked: bool,
}

/// One thing to put right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong, and the way out.
    pub(crate) text: String,
}

impl Finding {
    /// A finding at a line counted from 1.
    pub(crate) fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

impl Tree {
    /// Reads everything that git does not ignore.
    ///
    /// # Errors
    ///
    /// When git or cargo cannot be asked.
    pub(crate) fn load(workspace: &Workspace) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for (flag, tracked) in [("--cached", true), ("--others", false)] {
            for path in list(&workspace.root, flag)? {
                let Ok(bytes) = fs::read(workspace.root.join(&path)) else {
                    continue; // deleted and not yet committed, or a link to nowhere
                };
                // Pictures and the like have a path and no text.
                let text = String::from_utf8(bytes).unwrap_or_default();
                files.insert(path, File { text, tracked });
            }
        }
        let packages = workspace.metadata()?.packages;
        Ok(Self { files, packages, c_code: c_code(workspace)? })
    }

    /// All paths, from the root, with `/`.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The paths that git knows.
    pub(crate) fn tracked(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|(_, file)| file.tracked).map(|(path, _)| path.as_str())
    }

    /// A file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    /// Path and text of the files with this ending.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter().filter(move |(path, _)| path.ends_with(end));
        files.map(|(path, file)| (path.as_str(), file.text.as_str()))
    }

    /// Path and parsed text of every Rust file.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, Source<'_>)> {
        self.ending(".rs").map(|(path, text)| (path, Source::parse(text)))
    }

    /// Names of the folders in `crates/` that have a manifest.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        self.paths().filter_map(|path| {
            let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            (!name.contains('/')).then_some(name)
        })
    }
}

#[cfg(test)]
impl Tree {
    /// A tree for a test; git knows all of it.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| {
            ((*path).to_owned(), File { text: (*text).to_owned(), tracked: true })
        });
        Self { files: files.collect(), ..Self::default() }
    }

    /// The same with a file that git does not know.
    pub(crate) fn with_untracked(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), File { text: String::new(), tracked: false });
        self
    }
}

/// Where in the repository a finding is, and nothing else: what tests compare.
#[cfg(test)]
pub(crate) fn places(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

fn list(root: &Path, flag: &str) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--exclude-standard", flag]);
    let output = command.stdin(Stdio::null()).output().context("cannot start git")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("git ls-files: {}; tidy works in a git checkout", words.trim());
    }
    let paths = String::from_utf8_lossy(&output.stdout);
    Ok(paths.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Who needs the crate `cc`, in the workspace's own features, on this machine.
fn c_code(workspace: &Workspace) -> anyhow::Result<String> {
    let mut command = workspace.cargo();
    command.args(["tree", "--workspace", "--edges", "normal,build,dev", "--invert", "cc"]);
    let output = command.stdin(Stdio::null()).output().context("cannot start cargo")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("did not match any packages") {
        return Ok(String::new()); // not even locked
    }
    bail!("cargo tree: {}", words.trim())
}
