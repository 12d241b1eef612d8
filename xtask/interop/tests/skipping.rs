//! A machine without the foreign tool chains: what the command says and how it exits.

use std::process::{Command, Output};

fn interop(arguments: &[&str], absent: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interop"));
    command.args(arguments).env("INTEROP_ABSENT", absent);
    command.output().expect("the program starts")
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn absent_peers_are_skipped_with_a_reason_and_no_failure() {
    let output = interop(&[], "geth,js,geth-rpc,geth-node");

    // For RPC there are three programs: two releases and the console.
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("skipped: ").count(), 6, "{text}");
    assert!(last_line(&output).starts_with("0 passed, 0 failed, "), "{text}");
    assert!(output.status.success());
}

#[test]
fn a_peer_asked_for_by_name_must_be_there() {
    let output = interop(&["js"], "js");

    assert!(last_line(&output).starts_with("0 passed, 0 failed, "));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_name_stands_for_all_programs_that_go_with_it() {
    let output = interop(&["geth-rpc"], "geth-rpc");

    let text = String::from_utf8_lossy(&output.stdout);
    for program in ["geth-rpc\n", "geth-rpc, older release\n", "geth-rpc, console\n"] {
        assert!(text.contains(program), "{text}");
    }
    assert!(!text.contains("js\n"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_empty_path_is_an_absence_like_any_other() {
    let output = Command::new(env!("CARGO_BIN_EXE_interop")).env("PATH", "").output().unwrap();

    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("no Go tool chain"), "{text}");
    assert!(text.contains("no Node"), "{text}");
    assert!(output.status.success());
}

#[test]
fn the_page_is_not_written_from_a_run_with_gaps() {
    let output = interop(&["--write"], "geth,js,geth-rpc,geth-node");

    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("complete run only"), "{complaint}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_unknown_peer_is_refused() {
    let output = interop(&["parity"], "");

    assert_eq!(output.status.code(), Some(2));
}
