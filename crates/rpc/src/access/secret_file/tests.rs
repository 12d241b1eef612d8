//! Read leniently, created once, never replaced.

use std::{sync::Barrier, thread};

use tempfile::TempDir;

use super::*;

/// The secret `ab` × 32.
const DIGITS: &str = "abababababababababababababababababababababababababababababababab";

fn file_with(content: &[u8]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("jwtsecret");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn names_in(directory: &TempDir) -> Vec<OsString> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_secret_is_created_once_and_loaded_ever_after() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("jwtsecret");

    let created = JwtSecret::load_or_create(&path).unwrap();
    let loaded = JwtSecret::load_or_create(&path).unwrap();

    assert!(created.created && !loaded.created);
    assert!(!created.open_to_others && !loaded.open_to_others);
    assert_eq!(created.secret.bytes(), loaded.secret.bytes());
    assert_ne!(created.secret.bytes(), JwtSecret::random().bytes());
    let expected = format!("0x{}", const_hex::encode(created.secret.bytes()));
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(names_in(&directory), ["jwtsecret"], "something was left behind");
}

#[test]
fn a_prefix_and_white_space_around_the_digits_are_ignored() {
    let upper = DIGITS.to_uppercase();
    for content in [
        DIGITS.to_owned(),
        format!("0x{DIGITS}"),
        format!("0X{upper}\n"),
        format!(" \t\r\n{DIGITS}\r\n\n "),
    ] {
        let (_directory, path) = file_with(content.as_bytes());

        let file = JwtSecret::load_or_create(&path).unwrap();

        assert_eq!(file.secret.bytes(), [0xab; SECRET_LENGTH], "{content:?}");
    }
}

#[test]
fn a_file_that_holds_no_secret_is_an_error_and_stays() {
    let far = format!("{}{DIGITS}", " ".repeat(READ_LENGTH));
    for content in [
        "",
        "\n",
        "0x",
        &DIGITS[2..],
        &DIGITS[1..],
        &format!("{DIGITS}ab"),
        &format!("0x0x{}", &DIGITS[4..]),
        &format!("0x0x{DIGITS}"),
        &DIGITS.replacen('a', "g", 1),
        &DIGITS.replacen("ab", "a b", 1),
        &DIGITS.replacen("abab", "éé", 1),
        &far,
    ] {
        let (_directory, path) = file_with(content.as_bytes());

        let error = JwtSecret::load_or_create(&path).unwrap_err();

        let expected = format!("{}: invalid JWT secret, want 64 hex digits", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("bab"), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let (_directory, path) = file_with(b"\xff");
    assert!(JwtSecret::load_or_create(&path).is_err());
}

#[test]
fn a_directory_or_a_missing_one_is_an_error_of_the_system() {
    let directory = TempDir::new().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("missing/jwtsecret")] {
        let error = JwtSecret::load_or_create(path).unwrap_err();

        assert!(matches!(error, JwtSecretFileError::Io { .. }), "{error:?}");
    }
    assert!(names_in(&directory).is_empty());
}

#[test]
fn all_who_create_at_once_get_the_same_secret() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("jwtsecret");
    let start = Barrier::new(8);

    let files: Vec<_> = thread::scope(|scope| {
        let create = || {
            start.wait();
            JwtSecret::load_or_create(&path).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    assert!(files.iter().all(|file| file.secret.bytes() == files[0].secret.bytes()));
    assert_eq!(files.iter().filter(|file| file.created).count(), 1);
    assert_eq!(names_in(&directory), ["jwtsecret"], "something was left behind");
}

#[cfg(unix)]
#[test]
fn a_new_file_is_private_and_one_that_is_not_is_reported() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("jwtsecret");
    JwtSecret::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    for (mode, expected) in
        [(0o400, false), (0o600, false), (0o640, true), (0o604, true), (0o660, true), (0o602, true)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();

        let file = JwtSecret::load_or_create(&path).unwrap();

        assert_eq!(file.open_to_others, expected, "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_not_followed_to_make_a_secret() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("jwtsecret");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();

    JwtSecret::load_or_create(&path).unwrap_err();

    assert_eq!(names_in(&directory), ["jwtsecret"]);
}
