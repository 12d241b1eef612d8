//! Replacing what differs from run to run, so that what a chapter says can be compared.
//!
//! ```text
//!   enode://1b2c…@127.0.0.1:40123   →   enode://[KEY]@127.0.0.1:[PORT]
//!   Peer 9f86d081884c7d65 …         →   Peer [ID] …
//!   /tmp/xtask-17/a1_server/key     →   [DIR]/key
//!   rtt=312.5µs                     →   rtt=[DURATION]
//!   foo/v42/linux/rust1.95.0        →   foo/v42/[OS]/[RUNTIME]
//!   one/linux-x86_64/rustc1.95.0    →   one/[OS]/[RUNTIME]
//!   (pid 4711)                      →   (pid [PID])
//! ```
//!
//! A port 0 stays: that a node does not listen is something it says, not an accident.

use std::path::Path;

/// One line with placeholders for keys, ids, ports, directories, durations and versions.
pub(crate) fn replace(line: &str, directories: &[&Path]) -> String {
    let mut line = line.trim_end().to_owned();
    for directory in directories {
        let directory = directory.to_string_lossy();
        line = line.replace(&*directory, "[DIR]");
    }

    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let found = RULES.iter().find_map(|rule| rule(&out, rest));
        let plain = (first.len_utf8(), &rest[..first.len_utf8()]);
        let (taken, text) = found.unwrap_or(plain);
        out.push_str(text);
        rest = &rest[taken..];
    }
    out
}

/// Looks at what is before and what follows; takes so many bytes and writes this instead.
type Rule = fn(&str, &str) -> Option<(usize, &'static str)>;

const RULES: [Rule; 9] = [
    temporary_name,
    record,
    shortened,
    hexadecimal,
    port,
    duration,
    runtime,
    system_error,
    process,
];

/// `.tmpAb12` below a directory: a name made up by the program.
fn temporary_name(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let name = rest.strip_prefix("/.tmp").filter(|_| before.ends_with("[DIR]"))?;
    Some(("/.tmp".len() + run(name, |c| c.is_ascii_alphanumeric()), ""))
}

/// `enr:-IS4Q…`: signed, so different for every key.
fn record(_: &str, rest: &str) -> Option<(usize, &'static str)> {
    let body = rest.strip_prefix("enr:")?;
    let length = run(body, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (length > 0).then_some(("enr:".len() + length, "enr:[RECORD]"))
}

/// `92f6fa82…dc0912ba`: an id or key with its middle left out.
fn shortened(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let head = hex_run(before, rest).filter(|head| *head >= 4)?;
    let gap = ["…", "..."].into_iter().find(|gap| rest[head..].starts_with(gap))?;
    let tail = run(&rest[head + gap.len()..], |c| c.is_ascii_hexdigit());
    let placeholder = if before.ends_with("enode://") { "[KEY]" } else { "[ID]" };
    (tail >= 4).then_some((head + gap.len() + tail, placeholder))
}

/// Whole keys, ids and other long runs of hexadecimal digits.
fn hexadecimal(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let length = hex_run(before, rest)?;
    let placeholder = match length {
        128 | 130 => "[KEY]",
        64 => "[ID]",
        16 if before.ends_with("Peer ") => "[ID]",
        32.. => "[HEX]",
        _ => return None,
    };
    Some((length, placeholder))
}

/// The port after an IP address, or in a field that is called so.
fn port(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let address = before.strip_suffix(':').is_some_and(|host| {
        let digits = host.rsplit(|c: char| !(c.is_ascii_digit() || c == '.')).next();
        host.ends_with(']') || digits.is_some_and(|ip| ip.matches('.').count() == 3)
    });
    let field = ["port=", "port\":", "listener\":"].iter().any(|name| before.ends_with(name));
    let length = run(rest, |c| c.is_ascii_digit());
    let fits = (address || field) && (1..=5).contains(&length) && &rest[..length] != "0";
    fits.then_some((length, "[PORT]"))
}

/// `1.5ms`, `12µs`, `0.11 s`.
fn duration(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == ':' || c == '-') {
        return None;
    }
    let digits = run(rest, |c| c.is_ascii_digit() || c == '.');
    if digits == 0 || !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let after = &rest[digits..];
    let space = usize::from(after.starts_with(' '));
    let unit = &after[space..];
    let unit = &unit[..run(unit, char::is_alphabetic)];
    let known = ["ns", "us", "µs", "μs", "ms", "s"].contains(&unit);
    known.then_some((digits + space + unit.len(), "[DURATION]"))
}

/// `/linux/rust1.95.0` at the end of a node's name.
fn runtime(_: &str, rest: &str) -> Option<(usize, &'static str)> {
    let after = rest.strip_prefix('/')?;
    let system = run(after, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let version = after[system..].strip_prefix("/rust")?;
    let length = run(version, |c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    (length > 0).then_some((1 + system + "/rust".len() + length, "/[OS]/[RUNTIME]"))
}

/// `(os error 98)`: the number is the system's.
fn system_error(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let length = run(rest, |c| c.is_ascii_digit());
    (before.ends_with("(os error ") && length > 0).then_some((length, "[N]"))
}

/// `(pid 4711)`.
fn process(before: &str, rest: &str) -> Option<(usize, &'static str)> {
    let length = run(rest, |c| c.is_ascii_digit());
    (before.ends_with("(pid ") && length > 0).then_some((length, "[PID]"))
}

/// The length of a run of hexadecimal digits that is a word of its own.
fn hex_run(before: &str, rest: &str) -> Option<usize> {
    let starts = before.ends_with("0x") || !before.ends_with(|c: char| c.is_alphanumeric());
    let length = run(rest, |c| c.is_ascii_hexdigit());
    let ends = !rest[length..].starts_with(|c: char| c.is_alphanumeric());
    (starts && ends && length > 0).then_some(length)
}

/// Bytes at the start of a text that belong together.
fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let key = "1b2c".repeat(32);
        let id = "9f86".repeat(16);
        check(
            &format!("enode=enode://{key}@127.0.0.1:40123"),
            "enode=enode://[KEY]@127.0.0.1:[PORT]",
        );
        check(&format!("ID={id}"), "ID=[ID]");
        check(&format!("id=0x{id}"), "id=0x[ID]");
        check(&format!("\"{id}\""), "\"[ID]\"");
        check("peer=92f6fa82…dc0912ba", "peer=[ID]");
        check("enode://14986b...f6abb@127.0.0.1:1", "enode://[KEY]@127.0.0.1:[PORT]");
        check("\"Peer 9f86d081884c7d65 127.0.0.1:5\"", "\"Peer [ID] 127.0.0.1:[PORT]\"");
        check("local=[::1]:30303", "local=[::1]:[PORT]");
        check("rtt=312.5µs", "rtt=[DURATION]");
        check("took 0.11 s.", "took [DURATION].");
        check("name=foo/v42/linux/rust1.95.0", "name=foo/v42/[OS]/[RUNTIME]");
        check("name=one/linux-x86_64/rustc1.95.0", "name=one/[OS]/[RUNTIME]");
        check("in use (os error 98)", "in use (os error [N])");
        check("another process (pid 4711)", "another process (pid [PID])");
        check("enr=enr:-IS4Q_x", "enr=enr:[RECORD]");
        check("key /tmp/run/a1/.tmpXy9/nodekey", "key [DIR]/nodekey");
        check("listener on port=4000", "listener on port=[PORT]");
    }

    #[test]
    fn what_is_the_same_in_every_run_stays() {
        for line in [
            "INFO received message node=one msg=\"foobar\" code=0 size=7",
            "reason=4 text=\"too many peers\" events=0",
            "payload=86666f6f626172",
            "enode at 127.0.0.1:0?discport=0",
            "2 servers, 16 bytes, 10 seconds",
            "foo/42 at 12:30:05",
        ] {
            check(line, line);
        }
    }

    fn check(line: &str, expected: &str) {
        assert_eq!(replace(line, &[Path::new("/tmp/run/a1")]), expected);
    }
}
