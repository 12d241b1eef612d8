//! The commands that hand over to others, from outside: arguments and exit codes arrive, and
//! what is not there is named.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is a test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn interop_passes_arguments_and_exit_code_on() {
    let workspace = Workspace::create(&["interop"]);

    let output = workspace.xtask(&["interop", "geth", "--json"]);

    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(text(&output.stdout), "[\"geth\", \"--json\"]\n");
}

#[test]
fn bench_passes_arguments_and_exit_code_on() {
    let workspace = Workspace::create(&["bench"]);

    let output = workspace.xtask(&["bench", "--check", "frames"]);

    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(text(&output.stdout), "[\"--check\", \"frames\"]\n");
}

#[test]
fn a_package_that_is_not_there_is_named() {
    let workspace = Workspace::create(&["tutorial"]);

    for command in ["interop", "bench", "book"] {
        let output = workspace.xtask(&[command]);

        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        assert!(text(&output.stderr).contains(command), "{command}: {output:?}");
    }
}

#[test]
fn ci_stops_at_the_first_failure_and_shows_its_command() {
    let workspace = Workspace::create(&["tutorial"]);
    workspace.write("tutorial/src/main.rs", "fn main(){}\n");

    let output = workspace.xtask(&["ci", "--fast"]);

    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("fmt       FAIL"), "{said}");
    assert!(said.contains("clippy    not run"), "{said}");
    assert!(said.ends_with("again with:\n  cargo fmt --all --check\n"), "{said}");
}

#[test]
fn help_and_version_are_there_and_nonsense_is_exit_code_2() {
    let workspace = Workspace::create(&["tutorial"]);

    for command in ["examples", "tidy", "book", "bench", "interop", "ci"] {
        let output = workspace.xtask(&[command, "--help"]);

        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text(&output.stdout).contains("Example"), "{command}");
    }
    assert_eq!(workspace.xtask(&["--version"]).status.code(), Some(0));
    assert_eq!(workspace.xtask(&["nonsense"]).status.code(), Some(2));
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Packages that print their arguments and exit with 3.
struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    fn create(packages: &[&str]) -> Self {
        let workspace = Self { folder: tempfile::tempdir().unwrap() };
        workspace.write(
            "Cargo.toml",
            &format!("[workspace]\nresolver = \"3\"\nmembers = {packages:?}\n"),
        );
        for name in packages {
            let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
            workspace.write(&format!("{name}/Cargo.toml"), &manifest);
            workspace.write(&format!("{name}/src/main.rs"), PROGRAM);
        }
        workspace
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn xtask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--root")
            .arg(self.root())
            .args(arguments)
            .env("CARGO_TARGET_DIR", self.root().join("target"))
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CLICOLOR_FORCE");
        command.output().unwrap()
    }
}

const PROGRAM: &str = "\
fn main() {
    println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>());
    std::process::exit(3);
}
";
