//! The file that holds a node's identity: read exactly, created once, never replaced.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    error::Error as _,
    fs, io,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
};

use enode::{KeyError, KeyFileError, SecretKey};
use tempfile::TempDir;

#[test]
fn a_saved_key_is_loaded_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");
    let key = SecretKey::random();

    key.save(&path).unwrap();

    assert_eq!(SecretKey::load(&path).unwrap().node_id(), key.node_id());
    assert_eq!(fs::read_to_string(&path).unwrap(), const_hex::encode(key.to_bytes().as_slice()));
    assert_eq!(names_in(&directory), ["nodekey"], "something was left behind");
}

#[test]
fn at_most_two_newline_characters_may_follow_the_key() {
    for end in ["", "\n", "\r\n", "\n\n", "\r\r", "\r"] {
        let (_directory, path) = file_with(&format!("{DIGITS}{end}"));

        let key = SecretKey::load(&path).unwrap();
        assert_eq!(key.to_bytes().as_slice(), [0xab; 32], "{end:?}");
    }
    for end in ["\n\n\n", "\r\n\r\n", "\n\n\n\n\n\n\n\n"] {
        refused(&format!("{DIGITS}{end}"), "key file too long, want 64 hex characters");
    }
}

#[test]
fn anything_else_after_the_key_is_named() {
    refused(&format!("{DIGITS}X"), "invalid character 'X' at end of key file");
    refused(&format!("{DIGITS}\nab"), "invalid character 'a' at end of key file");
    refused(&format!("{DIGITS}\n\nX"), "invalid character 'X' at end of key file");
    refused(&format!("{DIGITS} "), "invalid character ' ' at end of key file");
    refused(&format!("{DIGITS}\u{1b}[2J"), "invalid character '\\u{1b}' at end of key file");
    refused(&format!("0x{DIGITS}"), "invalid character 'a' at end of key file");
}

#[test]
fn a_file_with_fewer_characters_is_too_short() {
    let too_short = "key file too short, want 64 hex characters";
    refused("", too_short);
    refused("\n", too_short);
    refused(&DIGITS[1..], too_short);
    refused(&format!("{}\n", &DIGITS[1..]), too_short);
    refused(&format!("{} {}", &DIGITS[..32], &DIGITS[32..]), too_short);
    refused(&format!(" {DIGITS}"), too_short);
}

#[test]
fn characters_that_are_no_key_are_an_error_with_the_reason() {
    let reason = |content: &str| {
        let error = refused(content, "invalid key in key file");
        let KeyFileError::Key { source, .. } = error else { panic!("{error:?}") };
        source
    };

    assert_eq!(reason(&DIGITS.replacen('a', "g", 1)), KeyError::Digit);
    assert_eq!(reason(&DIGITS.replacen("abab", "éé", 1)), KeyError::Digit);
    assert_eq!(reason(&"00".repeat(32)), KeyError::Scalar);
    assert_eq!(reason(&"ff".repeat(32)), KeyError::Scalar);
    let prefixed = format!("0x{}", &DIGITS[2..]);
    assert_eq!(reason(&prefixed), KeyError::Length { got: 31, want: "32" });
}

#[test]
fn an_error_never_quotes_the_key() {
    let (_directory, path) = file_with(&DIGITS.replacen('a', "g", 1));

    let error = SecretKey::load(&path).unwrap_err();

    let printed = format!("{error} {error:?} {:?}", error.source());
    assert!(!printed.contains("babab"), "{printed}");
}

#[test]
fn a_missing_file_is_an_error_of_the_system() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");

    let error = SecretKey::load(&path).unwrap_err();

    assert_eq!(error.path(), path);
    let KeyFileError::Io { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
}

#[test]
fn an_existing_file_is_never_overwritten() {
    for content in ["", "not a key", DIGITS] {
        let (directory, path) = file_with(content);

        let error = SecretKey::random().save(&path).unwrap_err();

        assert!(matches!(error, KeyFileError::Exists { .. }), "{error:?}");
        assert_eq!(error.path(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(names_in(&directory), ["nodekey"], "something was left behind");
    }
}

#[test]
fn a_key_is_created_once_and_loaded_ever_after() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");

    let created = SecretKey::load_or_create(&path).unwrap();
    let loaded = SecretKey::load_or_create(&path).unwrap();

    assert_eq!(created.node_id(), loaded.node_id());
    assert_eq!(names_in(&directory), ["nodekey"]);
}

#[test]
fn a_malformed_file_is_never_replaced() {
    for content in ["", "not a key", &"00".repeat(32), &format!("{DIGITS}\n\n\n")] {
        let (_directory, path) = file_with(content);

        SecretKey::load_or_create(&path).unwrap_err();

        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_directory_is_neither_read_nor_replaced() {
    let directory = TempDir::new().unwrap();

    let load = SecretKey::load(directory.path()).unwrap_err();
    let save = SecretKey::random().save(directory.path()).unwrap_err();

    assert!(matches!(load, KeyFileError::Io { .. }), "{load:?}");
    assert!(matches!(save, KeyFileError::Exists { .. }), "{save:?}");
    assert!(SecretKey::load_or_create(directory.path()).is_err());
}

#[test]
fn a_missing_directory_is_not_made() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing/nodekey");

    let error = SecretKey::load_or_create(&path).unwrap_err();

    assert!(matches!(error, KeyFileError::Io { .. }), "{error:?}");
    assert!(names_in(&directory).is_empty());
}

#[test]
fn all_who_create_at_once_get_the_same_key() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");
    let start = Barrier::new(8);

    let ids: Vec<_> = thread::scope(|scope| {
        let create = || {
            start.wait();
            SecretKey::load_or_create(&path).unwrap().node_id()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(names_in(&directory), ["nodekey"], "something was left behind");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");

    SecretKey::random().save(&path).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_not_followed_to_make_a_key() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();

    SecretKey::load_or_create(&path).unwrap_err();

    assert_eq!(names_in(&directory), ["nodekey"]);
}

/// Asserts that a file with this content is refused with `text` behind its path.
#[track_caller]
fn refused(content: &str, text: &str) -> KeyFileError {
    let (_directory, path) = file_with(content);

    let error = SecretKey::load(&path).unwrap_err();

    assert_eq!(error.to_string(), format!("{}: {text}", path.display()), "{content:?}");
    assert_eq!(error.path(), path);
    error
}

fn file_with(content: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nodekey");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn names_in(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A valid key of 32 bytes 0xab.
const DIGITS: &str = "abababababababababababababababababababababababababababababababab";
