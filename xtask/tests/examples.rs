//! `cargo xtask examples` from outside, on a workspace of two tiny programs: what a user sees
//! when a chapter passes, lies, fails, hangs, is not there, or is interrupted.
//!
//! The programs depend on nothing and do what the variable `FAKE` says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is a test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

#[test]
fn a_chapter_that_keeps_its_promises_passes() {
    let fake = Fake::create();

    let output = fake.run(&["A1"], "");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.lines().any(|line| line == "1 passed, 0 failed"), "{text}");
    assert!(row(&text, "A1 server").contains("PASS"), "{text}");
    assert!(text.is_ascii() && text.lines().all(|line| line.len() < 80), "{text}");
}

#[test]
fn a_chapter_that_lies_fails_with_the_row_expected_and_got() {
    let fake = Fake::create();

    let output = fake.run(&["A1", "wiki_2015"], "lie");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().any(|line| line == "1 passed, 1 failed"), "{text}");
    assert!(row(&text, "A1 server").contains("FAIL"), "{text}");
    assert!(row(&text, "  A1.2").contains("keccak256"), "{text}");
    assert!(row(&text, "  expected").contains(ID), "{text}");
    assert!(row(&text, "  got").contains("ID=\"00"), "{text}");
    assert_eq!(row(&text, "  again").trim(), "again    cargo xtask examples A1");
    let log = row(&text, "  log").trim_start_matches("  log").trim().to_owned();
    assert!(fs::read_to_string(log).unwrap().contains("server started"), "{text}");
}

#[test]
fn a_chapter_that_exits_with_an_error_fails_with_its_last_words() {
    let fake = Fake::create();

    let output = fake.run(&["A1"], "exit");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(row(&text, "  got").contains("no more today"), "{text}");
}

#[test]
fn a_chapter_that_leaves_a_file_behind_fails() {
    let fake = Fake::create();

    let output = fake.run(&["A1"], "litter");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(row(&text, "  files").contains("leaves nothing behind"), "{text}");
    assert!(row(&text, "  got").contains("demo.ipc"), "{text}");
}

#[test]
fn a_chapter_that_hangs_is_killed_and_fails() {
    let fake = Fake::create();

    let output = fake.run(&["A1", "--limit", "0.3"], "hang");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(row(&text, "  expected").contains("within 0.3 s"), "{text}");
    assert!(row(&text, "  again").contains("examples A1 --limit 0.3"), "{text}");
}

#[test]
fn a_whole_program_fails_by_its_exit_code() {
    let fake = Fake::create();

    let output = fake.run(&["wiki_2015"], "exit");

    assert_eq!(output.status.code(), Some(1));
    assert!(row(&stdout(&output), "wiki_2015").contains("FAIL"));
}

#[test]
fn a_chapter_without_its_program_fails() {
    let fake = Fake::create();

    let output = fake.run(&["A"], "");

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().any(|line| line == "1 passed, 4 failed"), "{text}");
    assert!(text.contains("a binary a2_connect in the package tutorial"), "{text}");
}

#[test]
fn output_that_differs_from_the_file_fails_until_it_is_blessed() {
    let fake = Fake::create();
    let expected = fake.root().join("tutorial/expected/a1_server.txt");
    let right = fs::read_to_string(&expected).unwrap();

    fs::write(&expected, right.replace("started", "begun")).unwrap();
    let differs = fake.run(&["A1"], "");
    let blessed = fake.run(&["A1", "--bless"], "");
    let passes = fake.run(&["A1"], "");

    assert_eq!(differs.status.code(), Some(1));
    assert!(row(&stdout(&differs), "  expected").contains("server begun"), "{differs:?}");
    assert!(stdout(&blessed).contains("wrote"), "{blessed:?}");
    assert_eq!(fs::read_to_string(&expected).unwrap(), right);
    assert_eq!(passes.status.code(), Some(0));
}

#[test]
fn a_chapter_that_breaks_a_row_is_not_blessed() {
    let fake = Fake::create();
    let expected = fake.root().join("tutorial/expected/a1_server.txt");
    fs::remove_file(&expected).unwrap();

    let output = fake.run(&["A1", "--bless"], "lie");

    assert_eq!(output.status.code(), Some(1));
    assert!(!expected.exists());
}

#[test]
fn machines_get_an_object_a_line() {
    let fake = Fake::create();

    let output = fake.run(&["A1", "wiki_2015", "--json"], "lie");

    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0]["chapter"], "A1");
    assert_eq!(lines[0]["result"], "fail");
    assert_eq!(lines[0]["faults"][0]["row"], "A1.2");
    assert_eq!(lines[1]["result"], "pass");
    assert_eq!(lines[2]["passed"], 1);
    assert_eq!(lines[2]["failed"], 1);
}

#[test]
fn a_wrong_question_is_exit_code_2() {
    let fake = Fake::create();

    for arguments in [["Z9"].as_slice(), &["D3"], &["E1"], &["--limit", "-1"], &["--no-flag"]] {
        let output = fake.run(arguments, "");

        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[test]
fn forced_colours_colour_the_result() {
    let fake = Fake::create();

    let output = fake.command(&["A1"], "").env("CLICOLOR_FORCE", "1").output().unwrap();

    assert!(stdout(&output).contains("\x1b[32mPASS"), "{output:?}");
}

#[test]
fn ctrl_c_ends_the_running_chapter_too() {
    let fake = Fake::create();
    let pid_file = fake.root().join("pid");
    let mut command = fake.command(&["A1"], "hang");
    command.env("FAKE_PID_FILE", &pid_file).stdout(Stdio::null()).stderr(Stdio::null());

    let mut xtask = command.spawn().unwrap();
    let chapter =
        until(|| fs::read_to_string(&pid_file).ok()?.strip_suffix('\n').map(str::to_owned));
    assert!(kill("-INT", &xtask.id().to_string()));
    let status = xtask.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(!kill("-0", &chapter), "the chapter {chapter} still runs");
}

/// A workspace with one chapter and one whole program.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn create() -> Self {
        let fake = Self { folder: tempfile::tempdir().unwrap() };
        let write = |path: &str, text: &str| {
            let path = fake.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"tutorial\", \"examples\"]\n",
        );
        for (package, binary) in [("tutorial", "a1_server"), ("examples", "wiki_2015")] {
            let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n");
            write(&format!("{package}/Cargo.toml"), &manifest);
            let program = PROGRAM.replace("LOG", &format!("{:?}", log()));
            write(&format!("{package}/src/bin/{binary}.rs"), &program);
        }
        write(
            "tutorial/expected/a1_server.txt",
            "INFO server started ID=[ID] at 127.0.0.1:[PORT]\n",
        );
        fake
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn run(&self, arguments: &[&str], fake: &str) -> Output {
        self.command(arguments, fake).output().unwrap()
    }

    fn command(&self, arguments: &[&str], fake: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--root")
            .arg(self.root())
            .arg("examples")
            .args(arguments)
            .env("FAKE", fake)
            .env("CARGO_TARGET_DIR", self.root().join("target"))
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CLICOLOR_FORCE")
            .env_remove("NO_COLOR");
        command
    }
}

/// What A1 says when all is well.
fn log() -> String {
    let key = "01".repeat(64);
    [
        format!(
            r#""message":"server started","enode":"enode://{key}@127.0.0.1:40123?discport=0","name":"foo/v42/linux/rust1.95.0","ID":"{ID}","IP":"127.0.0.1""#
        ),
        r#""message":"port answers","open":true"#.to_owned(),
        r#""message":"second server refused","error":"cannot listen on 127.0.0.1:40123""#.to_owned(),
        r#""message":"port answers","open":false"#.to_owned(),
        r#""message":"call on the stopped server","error":"server stopped""#.to_owned(),
    ]
    .map(|members| format!("{{\"level\":\"INFO\",\"demolog\":\"*\",{members}}}\n"))
    .concat()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The first line that starts so.
fn row<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {text}"))
}

/// Sends a signal; whether there was someone to take it.
fn kill(signal: &str, pid: &str) -> bool {
    let mut command = Command::new("kill");
    command.args([signal, pid]).stderr(Stdio::null()).status().unwrap().success()
}

fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "it never came");
        thread::yield_now();
    }
}

/// keccak256 of 64 times the byte 1.
const ID: &str = "401617bc4f769381f86be40df0207a0a3e31ae0839497a5ac6d4252dfc35577f";

const PROGRAM: &str = r#"
fn main() {
    let fake = std::env::var("FAKE").unwrap();
    if let Ok(path) = std::env::var("FAKE_PID_FILE") {
        std::fs::write(path, format!("{}\n", std::process::id())).unwrap();
    }
    let lie = if fake == "lie" { "\"ID\":\"00" } else { "\"ID\":\"" };
    print!("{}", LOG.replace("\"ID\":\"", lie));
    eprintln!("INFO server started ID={} at 127.0.0.1:40123", "ab".repeat(32));
    if fake == "exit" {
        eprintln!("Error: no more today");
        std::process::exit(1);
    }
    if fake == "litter" {
        std::fs::write(std::env::temp_dir().join("demo.ipc"), "").unwrap();
    }
    while fake == "hang" {
        std::thread::park();
    }
}
"#;
