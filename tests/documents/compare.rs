//! docs/COMPARE.md: each "yes" leads to where it can be seen, this crate's to a test.

use std::collections::{BTreeMap, BTreeSet};

use crate::read;

/// The subject, this crate and five others.
const COLUMNS: usize = 7;

/// The rows of the tables that compare, without their heads.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let lines = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells.filter(|row| row.len() == COLUMNS && !row[0].is_empty() && !row[0].starts_with("---")).collect()
}

/// `[label]: target` at the end of the document.
fn definitions(document: &str) -> BTreeMap<&str, &str> {
    document.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).collect()
}

/// The labels of `[text][label]`.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split("][").skip(1).filter_map(|rest| rest.split_once(']')).map(|(label, _)| label)
}

#[test]
fn each_yes_of_this_crate_leads_to_a_test() {
    let document = read("docs/COMPARE.md");
    let definitions = definitions(&document);
    let mut claimed = 0;
    for row in rows(&document) {
        let claim = row[1];
        if claim == "no" {
            continue;
        }
        claimed += 1;
        let label = labels(claim).next().unwrap_or_else(|| panic!("{}: {claim}", row[0]));
        let proof = definitions[label];
        // What the compiler refuses needs no test: the lints are in Cargo.toml.
        assert!(proof.starts_with("../tests/") || proof == "../Cargo.toml", "{label} is no test: {proof}");
    }
    assert!(claimed > 45, "{claimed}");
}

#[test]
fn each_yes_of_the_others_leads_to_its_source() {
    let document = read("docs/COMPARE.md");
    for row in rows(&document) {
        for claim in &row[2..] {
            assert!(!claim.starts_with("yes"), "{}: {claim}", row[0]);
            assert!(!claim.starts_with("[yes") || labels(claim).next().is_some(), "{}: {claim}", row[0]);
        }
    }
}

#[test]
fn each_source_is_defined_once_and_used() {
    let document = read("docs/COMPARE.md");
    let used: BTreeSet<_> = labels(&document).collect();
    let defined: Vec<_> = document.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).collect();
    assert_eq!(defined.iter().map(|(label, _)| *label).collect::<BTreeSet<_>>(), used);
    assert_eq!(defined.len(), used.len());
}
