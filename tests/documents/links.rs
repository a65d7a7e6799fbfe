//! The links of the documents lead somewhere: files exist, and so do the headings in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::root;

/// The documents, with their paths.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in ["", "docs", "tests", "tests/autobahn", "tests/interop"] {
        // What is not published is not there in a package.
        let Ok(entries) = fs::read_dir(root().join(directory)) else { continue };
        let paths = entries.map(|entry| entry.unwrap().path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    found
}

/// The text without code, where brackets are no links.
fn prose(document: &str) -> String {
    let mut is_code = false;
    let lines = document.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.flat_map(|line| line.split('`').step_by(2)).collect::<Vec<_>>().join("\n")
}

/// Where the links of a document lead: `[text](target)`, `[text]: target`, and the pictures of HTML.
fn targets(document: &str) -> Vec<String> {
    let prose = prose(document);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', '\n']).next());
    let references =
        prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).map(|(_, target)| target);
    let pictures = ["src=\"", "srcset=\""]
        .into_iter()
        .flat_map(|attribute| prose.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()));
    inline.chain(references).chain(pictures).map(str::to_owned).collect()
}

/// The anchors that GitHub makes of headings: lower case, without punctuation, numbered where they occur again.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in document.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let letters = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor = letters.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(numbered).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut checked = 0;
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        for target in targets(&document) {
            if target.starts_with("http://") || target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((&*target, None), |(file, anchor)| (file, Some(anchor)));
            let file = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(file.exists(), "{}: {target}", path.display());
            if let Some(anchor) = anchor {
                let there = fs::read_to_string(&file).unwrap();
                assert!(anchors(&there).contains(anchor), "{}: {target}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn headings_have_the_anchors_of_github() {
    let anchors =
        anchors("# A b\n## `ABNF`, what is\n```sh\n# no heading\n```\n## A b\n#no\n### create_connection and x-y\n");
    let expected = ["a-b", "a-b-1", "abnf-what-is", "create_connection-and-x-y"].map(str::to_owned);
    assert_eq!(anchors, BTreeSet::from(expected));
    assert_eq!(targets("[a](b.md#c) `[x](y)` [d][e]\n[e]: f.md\n<img src=\"g.svg\">"), ["b.md#c", "f.md", "g.svg"]);
}
