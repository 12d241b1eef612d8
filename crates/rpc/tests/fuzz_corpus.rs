//! What the fuzzer has been fed, and found, is survived without it, too.

#![allow(clippy::print_stdout, reason = "whoever looks for a fault wants to know the file")]

use std::{fs, path::Path};

#[test]
fn the_corpus_of_the_splitter_is_survived() {
    replay("rpc_scan", rpc::fuzz::scan);
}

#[test]
fn the_corpus_of_the_dispatcher_is_survived() {
    replay("rpc_dispatch", rpc::fuzz::dispatch);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).expect("a corpus").collect();
    assert!(!files.is_empty(), "nothing to replay");
    for file in files {
        let path = file.expect("a file").path();
        println!("{}", path.display());
        run(&fs::read(path).expect("readable"));
    }
}
