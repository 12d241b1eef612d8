//! `cargo xtask tidy` from outside, on a small repository: silent when all is well, and each
//! refusal with its place and exit code 1.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is a test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn a_tidy_repository_passes() {
    let repository = Repository::create();

    let output = repository.tidy(&[]);

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).starts_with("tidy: nothing found"), "{output:?}");
}

#[test]
fn an_upward_dependency_is_refused() {
    let repository = Repository::create();
    repository
        .append("crates/low/Cargo.toml", "[dev-dependencies]\nhigh = { path = \"../high\" }\n");
    repository.write("crates/high/Cargo.toml", &manifest("high", 1, ""));

    refused(
        &repository,
        "crates/low/Cargo.toml:8: low (layer 0) has a dev dependency on high (layer 1)",
    );
}

#[test]
fn a_core_module_with_a_socket_is_refused() {
    let repository = Repository::create();
    repository.append("crates/low/src/frame.rs", "use std::net::TcpStream;\n");

    refused(&repository, "crates/low/src/frame.rs:2: `TcpStream` in a core module");
}

#[test]
fn a_core_module_with_tokio_is_refused() {
    let repository = Repository::create();
    repository.append("crates/low/src/frame.rs", "use tokio::io::AsyncRead;\n");

    refused(&repository, "crates/low/src/frame.rs:2: `tokio` in a core module");
}

#[test]
fn a_sleep_in_a_chapter_is_refused() {
    let repository = Repository::create();
    repository.append("tutorial/src/bin/a1_server.rs", "fn wait() { std::thread::sleep(d); }\n");

    refused(&repository, "tutorial/src/bin/a1_server.rs:3: a sleep");
}

#[test]
fn a_missing_module_comment_is_refused() {
    let repository = Repository::create();
    repository.write("crates/low/src/new.rs", "fn new() {}\n");

    refused(&repository, "crates/low/src/new.rs:1: no module comment");
}

#[test]
fn an_unmarked_or_unbounded_queue_is_refused() {
    let repository = Repository::create();
    repository.append(
        "crates/low/src/lib.rs",
        "fn a() { mpsc::channel(1); }\nfn b() { mpsc::unbounded_channel(); }\n",
    );

    refused(&repository, "crates/low/src/lib.rs:5: `mpsc::channel` without its bound");
    refused(&repository, "crates/low/src/lib.rs:6: `unbounded_channel` has no bound");
}

#[test]
fn one_rule_can_be_asked_for_and_a_wrong_one_is_exit_code_2() {
    let repository = Repository::create();
    repository.write("crates/low/src/new.rs", "fn new() {}\n");

    assert_eq!(repository.tidy(&["layers"]).status.code(), Some(0));
    assert_eq!(repository.tidy(&["comments"]).status.code(), Some(1));
    assert_eq!(repository.tidy(&["neatness"]).status.code(), Some(2));
}

fn refused(repository: &Repository, finding: &str) {
    let output = repository.tidy(&[]);

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text.lines().any(|line| line.starts_with(finding)), "{finding} in:\n{text}");
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn manifest(name: &str, layer: u8, more: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\
         [package.metadata.stack]\nlayer = {layer}\n\n{more}"
    )
}

/// A repository that has all that tidy asks for.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn create() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        let members = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"tutorial\"]\n";
        for (path, text) in [
            ("Cargo.toml", members),
            ("README.md", "| crate |\n|---|\n| low |\n| high |\n"),
            ("LICENSE-APACHE", ""),
            ("LICENSE-MIT", ""),
            ("examples/README.md", "# Examples\n"),
            ("xtask/README.md", "# xtask\n"),
            ("crates/low/Cargo.toml", &manifest("low", 0, "")),
            ("crates/low/README.md", "# low\n"),
            ("crates/low/src/lib.rs", "//! Low.\n//!\n//! Core modules (no I/O): `frame`.\n\n"),
            ("crates/low/src/frame.rs", "//! Frames.\n"),
            (
                "crates/high/Cargo.toml",
                &manifest("high", 1, "[dependencies]\nlow = { path = \"../low\" }\n"),
            ),
            ("crates/high/README.md", "# high\n"),
            ("crates/high/src/lib.rs", "//! High.\n//!\n//! Core modules (no I/O): none.\n"),
            ("tutorial/Cargo.toml", "[package]\nname = \"tutorial\"\nedition = \"2024\"\n"),
            ("tutorial/src/bin/a1_server.rs", "//! A1.\nfn main() {}\n"),
            ("tutorial/expected/a1_server.txt", "INFO server started\n"),
        ] {
            repository.write(path, text);
        }
        repository.tool("git", &["init", "--quiet"]);
        repository.tool(env!("CARGO"), &["generate-lockfile", "--offline", "--quiet"]);
        repository.tool("git", &["add", "."]);
        repository
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn append(&self, path: &str, text: &str) {
        let old = fs::read_to_string(self.root().join(path)).unwrap();
        self.write(path, &(old + text));
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(self.root()).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    }

    fn tidy(&self, rules: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.root()).arg("tidy").args(rules);
        command.env("CARGO_NET_OFFLINE", "true").env_remove("CLICOLOR_FORCE").output().unwrap()
    }
}
