//! Core modules take bytes and instants and give bytes and deadlines: no I/O, no clock, no tasks.
//!
//! Each crate's `lib.rs` names them in its module comment:
//!
//! ```text
//!   //! Core modules (no I/O): `frame`, `handshake`.
//! ```
//!
//! with `none` where there are none, so that leaving the line out is no way around the rule. A
//! module is named with all below it.

use crate::tidy::source::{Source, has_word};
use crate::tidy::tree::{Finding, Tree};

/// The modules that each crate declares as core do without everything in [`FORBIDDEN`].
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.crates().flat_map(|name| check_crate(tree, name)).collect()
}

fn check_crate(tree: &Tree, name: &str) -> Vec<Finding> {
    let lib = format!("crates/{name}/src/lib.rs");
    let Some(text) = tree.text(&lib) else { return Vec::new() };
    let Some(modules) = declared(text) else {
        let text = format!("no list of core modules; add `//! {DECLARATION} `a`, `b`.`, or `none`");
        return vec![Finding::new(&lib, 1, text)];
    };
    let mut findings = Vec::new();
    for (line, module) in modules {
        let base = format!("crates/{name}/src/{}", module.replace("::", "/"));
        let file = format!("{base}.rs");
        let below = format!("{base}/");
        let mut files = tree
            .ending(".rs")
            .filter(|(path, _)| *path == file || path.starts_with(&below))
            .peekable();
        if files.peek().is_none() {
            let text = format!("core module `{module}` does not exist; there is no {file}");
            findings.push(Finding::new(&lib, line, text));
        }
        findings.extend(files.flat_map(|(path, text)| check_file(path, text)));
    }
    findings
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    if path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let source = Source::parse(text);
    let mut findings = Vec::new();
    for (number, line) in source.lines_outside_tests() {
        for (word, instead) in FORBIDDEN {
            if has_word(line, word) {
                let text = format!("`{word}` in a core module; {instead}");
                findings.push(Finding::new(path, number, text));
                break; // one a line is enough to look at it
            }
        }
    }
    findings
}

/// Names with the line of the declaration, or nothing if there is no declaration.
fn declared(lib: &str) -> Option<Vec<(usize, String)>> {
    let start =
        lib.lines().position(|line| line.starts_with("//!") && line.contains(DECLARATION))?;
    // The sentence may run over several lines; it ends with a full stop or the paragraph.
    let words: Vec<_> = lib
        .lines()
        .skip(start)
        .map_while(|line| line.strip_prefix("//!").map(str::trim))
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = words.join(" ");
    let list = paragraph.split_once(DECLARATION).map_or("", |(_, list)| list);
    let list = list.split_once(". ").map_or(list, |(list, _)| list);
    let names = list.split('`').skip(1).step_by(2);
    Some(names.map(|name| (start + 1, name.to_owned())).collect())
}

const DECLARATION: &str = "Core modules (no I/O):";

/// Words, and what to do instead.
const FORBIDDEN: [(&str, &str); 22] = [
    ("tokio", DRIVER),
    ("tokio_util", DRIVER),
    ("futures_util", DRIVER),
    ("async", DRIVER),
    ("await", DRIVER),
    ("TcpStream", DRIVER),
    ("TcpListener", DRIVER),
    ("UdpSocket", DRIVER),
    ("UnixStream", DRIVER),
    ("UnixListener", DRIVER),
    ("ToSocketAddrs", DRIVER),
    ("std::fs", DRIVER),
    ("fs::", DRIVER),
    ("std::process", DRIVER),
    ("std::thread", DRIVER),
    ("thread::spawn", DRIVER),
    ("Instant::now", "take the instant as an argument"),
    ("SystemTime::now", "take the time as an argument"),
    ("rand::rng", "take the randomness as an argument"),
    ("rng()", "take the randomness as an argument"),
    ("rand::random", "take the randomness as an argument"),
    ("SysRng", "take the randomness as an argument"),
];

const DRIVER: &str = "take bytes and give bytes, and leave the rest to the module that drives it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    const LIB: &str = "\
//! A crate.
//!
//! Core modules (no I/O): `frame`,
//! `handshake`. The rest is not.
";

    #[test]
    fn a_core_module_that_does_io_or_reads_the_clock_is_refused() {
        for line in [
            "use tokio::io::AsyncRead;",
            "use std::net::{IpAddr, TcpStream};",
            "let socket = std::net::UdpSocket::bind(a);",
            "let now = Instant::now();",
            "let now = std::time::SystemTime::now();",
            "let text = std::fs::read(path);",
            "use std::{fs::File, io};",
            "let mut rng = rand::rng();",
            "async fn f() {}",
        ] {
            let text = format!("//! Frames.\n\n{line}\n");

            let findings = check(&tree(LIB, &text));

            assert_eq!(places(&findings), ["crates/a/src/frame.rs:3"], "{line}");
        }
    }

    #[test]
    fn addresses_and_instants_given_are_fine_and_so_are_tests_and_words() {
        let text = "\
//! Takes no tokio.
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
/// Called by the tokio driver with `Instant::now()`.
fn f(now: Instant) {}
#[cfg(test)]
mod tests {
    fn g() { f(Instant::now()); }
}
";
        assert_eq!(check(&tree(LIB, text)), []);
    }

    #[test]
    fn a_module_below_a_core_module_is_core_and_others_are_not() {
        let tree = Tree::of(&[
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", LIB),
            ("crates/a/src/frame.rs", "//! F.\n"),
            ("crates/a/src/handshake.rs", "//! H.\n"),
            ("crates/a/src/handshake/auth.rs", "//! A.\nuse tokio;\n"),
            ("crates/a/src/stream.rs", "//! S.\nuse tokio;\n"),
        ]);

        assert_eq!(places(&check(&tree)), ["crates/a/src/handshake/auth.rs:2"]);
    }

    #[test]
    fn a_missing_list_or_a_module_that_is_not_there_is_refused() {
        let missing = check(&tree("//! A crate.\n", "//! F.\n"));
        let gone = check(&tree("//! Core modules (no I/O): `gone`.\n", "//! F.\n"));
        let none = check(&tree("//! Core modules (no I/O): none.\n", "use tokio;\n"));

        assert_eq!(places(&missing), ["crates/a/src/lib.rs:1"]);
        assert_eq!(places(&gone), ["crates/a/src/lib.rs:1"]);
        assert_eq!(none, []);
    }

    fn tree(lib: &str, frame: &str) -> Tree {
        Tree::of(&[
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", lib),
            ("crates/a/src/frame.rs", frame),
            ("crates/a/src/handshake.rs", "//! H.\n"),
        ])
    }
}
