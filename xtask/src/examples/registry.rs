//! The chapters there are, and the names people call them by.

use std::time::Duration;

use crate::UsageError;
use crate::examples::chapter::Chapter;
use crate::examples::{chapter_a, chapter_b, chapter_c, chapter_d};

/// All chapters, in the order of the book; whole programs last.
pub(crate) fn all() -> Vec<Chapter> {
    let mut chapters = chapter_a::chapters();
    chapters.extend(chapter_b::chapters());
    chapters.extend(chapter_c::chapters());
    chapters.extend(chapter_d::chapters());
    chapters.extend([WIKI_2015, JOB_MARKET, FIRST_PROTOCOL]);
    chapters
}

/// The chapters meant by these names, in the order of the book; all of them for no name.
///
/// # Errors
///
/// A name that means nothing, or a chapter that is planned and not written.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Chapter>, UsageError> {
    let mut chapters = all();
    if names.is_empty() {
        return Ok(chapters);
    }
    let mut wanted = Vec::new();
    for name in names {
        wanted.extend(meant(name, &chapters)?);
    }
    chapters.retain(|chapter| wanted.contains(&chapter.binary));
    Ok(chapters)
}

/// The binaries that one name means.
fn meant(given: &str, chapters: &[Chapter]) -> Result<Vec<&'static str>, UsageError> {
    let name = given.to_lowercase();
    let found: Vec<_> = chapters
        .iter()
        .filter(|chapter| {
            let short = chapter.name.to_lowercase();
            name == short || name == chapter.binary || is_letter_of(&name, &short)
        })
        .map(|chapter| chapter.binary)
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let (short, _) = name.split_once('_').unwrap_or((&name, ""));
    if let Some((_, new)) = OLD_NAMES.iter().find(|(old, _)| *old == short) {
        return match meant(new, chapters) {
            Ok(found) => Ok(found),
            Err(_) => Err(not_written(&format!("{given} is the old name of {new}, which"))),
        };
    }
    if PLANNED.contains(&short) {
        return Err(not_written(given));
    }
    let known: Vec<_> = chapters.iter().map(|chapter| chapter.name).collect();
    Err(UsageError(format!("no chapter {given}; there are {}", known.join(", "))))
}

/// Whether `a` is the letter of `a1`. A whole program has none.
fn is_letter_of(name: &str, short: &str) -> bool {
    short.len() == 2 && name.len() == 1 && short.starts_with(name)
}

fn not_written(what: &str) -> UsageError {
    UsageError(format!("{what} is not written yet; `cargo xtask examples --help` lists what is"))
}

/// The foo and bar protocol of the wiki page of 2015; it asserts its own claim.
const WIKI_2015: Chapter = Chapter {
    name: "wiki_2015",
    package: "examples",
    binary: "wiki_2015",
    proves: "foo is answered with bar, as in 2015",
    arguments: &["--check"],
    limit: Duration::from_secs(10),
    rows: &[],
    alternatives: &[],
};

/// The market for work, over TCP; it asserts its own claims.
const JOB_MARKET: Chapter = Chapter {
    name: "job_market",
    package: "examples",
    binary: "job_market",
    proves: "work is found, verified, and refused",
    arguments: &["--check", "--transport", "tcp"],
    limit: Duration::from_secs(15),
    rows: &[],
    alternatives: &[],
};

/// What a reader of the book and of the documentation wrote; it asserts its own claim.
const FIRST_PROTOCOL: Chapter = Chapter {
    name: "first_protocol",
    package: "examples",
    binary: "first_protocol",
    proves: "two nodes tell each other their names",
    arguments: &["--check"],
    limit: Duration::from_secs(10),
    rows: &[],
    alternatives: &[],
};

/// Names of the first edition of the tutorial, and what they are called now.
const OLD_NAMES: [(&str, &str); 3] = [("d3", "E1"), ("d4", "E2"), ("d5", "E7")];

/// Chapters of the whole tutorial, with the letters alone.
const PLANNED: [&str; 35] = [
    "a", "a1", "a2", "a3", "a4", "a5", "b", "b1", "b2", "b3", "c", "c1", "c2", "c3", "c4", "d",
    "d1", "d2", "e", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "f", "f1", "f2", "f3",
    "f4", "f5", "f6",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chapter_answers_to_every_form_of_its_name() {
        for name in ["A1", "a1", "a1_server", "A1_Server"] {
            assert_eq!(binaries(&[name]), ["a1_server"], "{name}");
        }
        assert_eq!(binaries(&["Wiki_2015"]), ["wiki_2015"]);
    }

    #[test]
    fn a_letter_means_all_its_chapters() {
        let of_a = ["a1_server", "a2_connect", "a3_events", "a4_message", "a5_reply"];

        assert_eq!(binaries(&["A"]), of_a);
        assert_eq!(binaries(&["b"]), ["b1_rpc", "b2_method", "b3_message"]);
        assert_eq!(binaries(&["C"]), ["c1_stack", "c2_nodeinfo", "c3_service", "c4_full"]);
        assert_eq!(binaries(&["d"]), ["d1_protocols", "d2_multiservice"]);
    }

    #[test]
    fn names_given_twice_or_out_of_order_run_once_in_order() {
        assert_eq!(binaries(&["A3", "a1", "a3_events"]), ["a1_server", "a3_events"]);
    }

    #[test]
    fn no_name_means_everything() {
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
    }

    #[test]
    fn an_old_name_says_what_it_is_called_now() {
        for (old, new) in [("D3", "E1"), ("d4", "E2"), ("D5_PssClient", "E7")] {
            let error = chosen(&[old.to_owned()]).unwrap_err().to_string();

            assert!(error.contains(new) && error.contains("not written yet"), "{error}");
        }
    }

    #[test]
    fn a_planned_chapter_is_told_from_a_wrong_name() {
        let planned = chosen(&["E1".to_owned()]).unwrap_err().to_string();
        let wrong = chosen(&["Z9".to_owned()]).unwrap_err().to_string();

        assert!(planned.contains("not written yet"), "{planned}");
        assert!(wrong.contains("A1, A2") && wrong.contains("wiki_2015"), "{wrong}");
    }

    #[test]
    fn what_a_chapter_proves_fits_its_column() {
        for chapter in all() {
            assert!(chapter.proves.len() <= 38, "{}", chapter.binary);
            assert!(chapter.label().len() <= 18, "{}", chapter.binary);
        }
    }

    fn binaries(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        chosen(&names).unwrap().iter().map(|chapter| chapter.binary).collect()
    }
}
