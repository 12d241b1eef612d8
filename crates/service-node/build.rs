//! Tells the node which compiler built it: client names end with it, as in `rustc1.95.0`.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("-V").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    // "rustc 1.95.0 (f2d3ce0bd 2026-03-21)"
    let number = version.as_deref().and_then(|text| text.split(' ').nth(1)).unwrap_or_default();
    println!("cargo::rustc-env=RUSTC_VERSION={number}");
    println!("cargo::rerun-if-changed=build.rs");
}
