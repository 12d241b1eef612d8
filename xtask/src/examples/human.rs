//! Comparing what a chapter tells people with the file that the book shows.
//!
//! Two nodes in one process interleave as they like, so the order of lines is no promise. What
//! each node said is: lines are compared as a set per `node` (how often counts), those without
//! a node forming one group.

use std::collections::BTreeMap;

use crate::examples::log::{Check, mismatch};

/// Compares the output of this run, placeholders in place, with the expected one.
///
/// `alternatives` are texts of which the second is read as the first.
///
/// # Errors
///
/// The first line that is missing or too much, with its node.
pub(crate) fn compare(expected: &str, got: &str, alternatives: &[(&str, &str)]) -> Check {
    let mut balance: BTreeMap<(String, String), i32> = BTreeMap::new();
    for line in spoken(expected, alternatives) {
        *balance.entry((node_of(&line).to_owned(), line)).or_default() += 1;
    }
    for line in spoken(got, alternatives) {
        *balance.entry((node_of(&line).to_owned(), line)).or_default() -= 1;
    }
    let missing = balance.iter().find(|(_, count)| **count > 0).map(|(line, _)| line);
    let surplus = balance.iter().filter(|(_, count)| **count < 0).map(|(line, _)| line);
    let Some((node, missing)) = missing else {
        return match surplus.into_iter().next() {
            None => Ok(()),
            Some((_, line)) => mismatch("no further line", line.clone()),
        };
    };
    // The line that stands for the missing one is most likely the one that begins like it.
    let instead = surplus
        .filter(|(other, _)| other == node)
        .max_by_key(|(_, line)| shared_prefix(missing, line))
        .map_or_else(|| "nothing".to_owned(), |(_, line)| line.clone());
    mismatch(missing.clone(), instead)
}

fn spoken(text: &str, alternatives: &[(&str, &str)]) -> Vec<String> {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let canonical = |line: &str| {
        alternatives
            .iter()
            .fold(line.to_owned(), |line, (first, second)| line.replace(second, first))
    };
    lines.map(canonical).collect()
}

/// The value of the field `node`, or nothing.
fn node_of(line: &str) -> &str {
    let value = line.split_once(" node=").map_or("", |(_, value)| value);
    value.split(' ').next().unwrap_or_default().trim_matches('"')
}

fn shared_prefix(one: &str, two: &str) -> usize {
    one.chars().zip(two.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "\
INFO server started
INFO add node=one
INFO sent n=1 node=one
INFO add node=two
INFO drop node=two error=\"protocol returned\"
";

    #[test]
    fn nodes_may_interleave() {
        let got = "\
INFO add node=two
INFO server started
INFO sent n=1 node=one
INFO drop node=two error=\"protocol returned\"
INFO add node=one";

        assert_eq!(compare(EXPECTED, got, &[]), Ok(()));
    }

    #[test]
    fn a_line_said_differently_is_shown_beside_the_expected_one() {
        let got = EXPECTED.replace("n=1", "n=2");

        let difference = compare(EXPECTED, &got, &[]).unwrap_err();

        assert_eq!(difference.expected, "INFO sent n=1 node=one");
        assert_eq!(difference.got, "INFO sent n=2 node=one");
    }

    #[test]
    fn a_missing_line_a_further_line_and_a_repeated_line_are_found() {
        let missing = compare(EXPECTED, &EXPECTED.replace("INFO add node=two\n", ""), &[]);
        let further = compare(EXPECTED, &format!("{EXPECTED}INFO what\n"), &[]);
        let repeated = compare(EXPECTED, &format!("{EXPECTED}INFO add node=one\n"), &[]);

        assert_eq!(missing.unwrap_err().got, "nothing");
        assert_eq!(further.unwrap_err().got, "INFO what");
        assert_eq!(repeated.unwrap_err().got, "INFO add node=one");
    }

    #[test]
    fn the_same_words_of_another_node_are_not_the_same() {
        let got = EXPECTED.replace("sent n=1 node=one", "sent n=1 node=two");

        assert!(compare(EXPECTED, &got, &[]).is_err());
    }

    #[test]
    fn an_alternative_that_a_row_allows_is_no_difference() {
        let got = EXPECTED.replace("protocol returned", "client quitting");

        assert!(compare(EXPECTED, &got, &[]).is_err());
        assert_eq!(compare(EXPECTED, &got, &[("protocol returned", "client quitting")]), Ok(()));
    }
}
