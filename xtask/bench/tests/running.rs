//! The programs run and say what they promise; how fast they are is not asked here.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn every_timed_figure_comes_as_json_with_its_machine() {
    let output = bench(&["--quick", "--rounds", "1", "--filter", "64 B", "--json"]);

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["machine"]["rustc"].as_str().unwrap().starts_with("rustc "), "{report}");
    let figures = report["figures"].as_array().unwrap();
    let names: Vec<_> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "codec, write",
            "codec, read",
            "stream, one way",
            "stream, both ways",
            "server, one way",
            "server, both ways",
        ]
    );
    for figure in figures {
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{figure}");
        assert_eq!(figure["payload"], 64, "{figure}");
    }
}

#[test]
fn calls_are_measured_beside_those_of_jsonrpsee() {
    let output = bench(&["--quick", "--rounds", "1", "--filter", "rpc, ipc", "--json"]);

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figures = report["figures"].as_array().unwrap();
    let names: Vec<_> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["rpc, ipc, one at a time", "rpc, ipc, 64 in flight", "rpc, ipc, batch of 1,000"]
    );
    for figure in figures {
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{figure}");
        assert_eq!(figure["aside"][0]["unit"], "× jsonrpsee, ws");
    }
}

#[test]
fn the_table_says_which_command_makes_it_again() {
    let output = bench(&["--quick", "--rounds", "1", "--filter", "codec, write, 64 B"]);

    let table = String::from_utf8(output.stdout).unwrap();
    let command = "cargo xtask bench --quick --rounds 1 --filter \"codec, write, 64 B\"";
    assert!(table.lines().nth(1).unwrap().starts_with(command), "{table}");
    assert!(table.contains("× plain codec"), "{table}");
}

#[test]
fn a_filter_that_fits_nothing_is_an_error() {
    let output = bench(&["--quick", "--filter", "no such figure"]);

    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no figure's name contains the filter"), "{text}");
}

#[test]
fn an_incomplete_run_is_not_published() {
    for arguments in [&["--write", "--quick"][..], &["--write", "--filter", "codec"]] {
        let output = bench(arguments);

        assert!(!output.status.success(), "{arguments:?}");
    }
}

#[test]
fn heap_counts_connections_and_messages() {
    let output = Command::new(env!("CARGO_BIN_EXE_heap")).arg("--quick").output().unwrap();

    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let counted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = |name: &str| counted[name].as_f64().unwrap();
    assert!(bytes("idle") > 0.0, "{counted}");
    assert!(bytes("settled") < bytes("after_message"), "{counted}");
    assert!(bytes("ipc_server") > 0.0 && bytes("ipc_client") > 0.0, "{counted}");
    for message in counted["per_message"].as_array().unwrap() {
        assert_eq!((&message["sent"], &message["received"]), (&0.0.into(), &1.0.into()));
    }
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().unwrap()
}
